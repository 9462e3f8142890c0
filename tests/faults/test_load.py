"""What the calls of 64 workers take while 10,000 jobs wait."""

import concurrent.futures
import json
import os
import statistics
import subprocess
import tempfile
import time

from conftest import BINARIES, Faults, long_or_short

JOBS = 10_000
WORKERS = 64


def sync_seconds(folder, rounds=50):
  """The median time of a small synced write, as every durable call has one."""
  times = []
  with tempfile.TemporaryFile(dir=folder) as file:
    for _ in range(rounds):
      began = time.perf_counter()
      file.write(b"x" * 4096)
      file.flush()
      os.fdatasync(file.fileno())
      times.append(time.perf_counter() - began)
  return statistics.median(times)


def test_calls_of_workers_are_quick(tmp_path, figures):
  """The published constants."""
  faults = Faults(tmp_path)
  try:
    faults.start_server()
    faults.prepare()
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
      list(pool.map(lambda number: faults.create(output=f"m{number % 100}"),
                    range(JOBS)))
    figures.set("sync_p50_ms", round(1000 * sync_seconds(tmp_path), 3))
    run = subprocess.run(
        [BINARIES.parent / "tests/worker_fleet", faults.address, str(WORKERS),
         str(long_or_short(300, 30))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=500)
    assert run.returncode == 0, run.stderr
    seen = json.loads(run.stdout)
    # No attempt was given to two.
    leases = seen["leases"]
    assert len(set(leases)) == len(leases) >= 2 * WORKERS
    for name in ("lease", "metrics", "heartbeat"):
      seconds = seen["times"][name]
      median = statistics.median(seconds)
      figures.set(f"{name}_p50_ms", round(1000 * median, 3))
      figures.set(f"{name}_p99_ms", round(
          1000 * statistics.quantiles(seconds, n=100)[-1], 3))
      figures.set(f"{name}_calls", len(seconds))
      # The limit is 1 ms on a machine that does nothing else.
      assert median < 0.02, name
    faults.stop_and_check()
  finally:
    faults.stop()
