"""Processes that die, stop and come back while jobs run."""

import os
import signal
import subprocess
import time

import pytest

from conftest import (BINARIES, LEASE, QUICK_RETRIES, SHORT, long_or_short,
                      wait_until)


def requeue_time(faults, job, killed_at):
  """Seconds until the server said that the job is tried again."""
  after = [time for time, message in faults.events(job)
           if time > killed_at and "failed" in message]
  return after[0] - killed_at


def run_whole(faults, output, **spec):
  """A run without faults: what the others must equal."""
  job = faults.create(output=output, **spec)
  faults.wait_for(job, "SUCCEEDED")
  return faults.outcome(job)


def test_a_killed_training_child_resumes_with_the_same_bits(faults, figures):
  """Killed at random steps: 50 in the long form."""
  spec = {"steps": 120, "every": 5}
  worker = faults.start_trainer()
  whole = run_whole(faults, "whole", **spec)
  kills = long_or_short(50, 6)
  done = 0
  while done < kills:
    job = faults.create(output=f"killed-{done}", **spec)
    targets = sorted(faults.random.sample(range(1, 110),
                                          min(3, kills - done)))
    for target in targets:
      # Progress comes with heartbeats, so the step of the kill is random too.
      faults.wait_for_step(job, target)
      [child] = wait_until(lambda: faults.task_children(worker),
                           "the training child")
      killed_at = time.time()
      os.kill(child, signal.SIGKILL)
      wait_until(lambda: [t for t, m in faults.events(job)
                          if t > killed_at and "failed" in m], "the requeue")
      figures.maximum("requeue_after_crash_max_s",
                      requeue_time(faults, job, killed_at))
      assert requeue_time(faults, job, killed_at) <= 2
    faults.wait_for(job, "SUCCEEDED")
    equal = faults.outcome(job) == whole
    figures.add("resumes_tried", len(targets))
    figures.add("resumes_equal", len(targets) if equal else 0)
    assert equal
    done += len(targets)


def test_a_killed_workers_job_is_taken_over_with_the_same_bits(faults,
                                                               figures):
  spec = {"steps": 120, "every": 5}
  first = faults.start_trainer()
  whole = run_whole(faults, "whole", **spec)
  job = faults.create(**spec)
  faults.wait_for_step(job, 20)
  killed_at = time.time()
  faults.kill_group(first)
  faults.start_trainer()
  faults.wait_for(job, "SUCCEEDED")
  assert requeue_time(faults, job, killed_at) <= LEASE + 1
  equal = faults.outcome(job) == whole
  figures.add("resumes_tried", 1)
  figures.add("resumes_equal", int(equal))
  assert equal
  assert faults.show(job).attempt == 2


def test_a_worker_that_was_stopped_too_long_lands_nothing(faults):
  """The zombie: stopped for longer than its lease, then continued."""
  spec = {"steps": 400, "every": 10}
  zombie = faults.start_trainer("--worker-id", "zombie")
  job = faults.create(**spec)
  faults.wait_for_step(job, 10)
  os.killpg(zombie.popen.pid, signal.SIGSTOP)
  for child in faults.task_children(zombie):
    os.kill(child, signal.SIGSTOP)
  stopped_at = time.time()
  wait_until(lambda: faults.state(job) == "QUEUED", "the end of its lease")
  faults.start_trainer("--worker-id", "other")
  wait_until(lambda: faults.show(job).worker_id == "other", "the takeover")
  faults.wait_for_step(job, 20)
  while time.time() < stopped_at + long_or_short(40, 1.5 * LEASE):
    time.sleep(0.1)
  for child in faults.task_children(zombie):
    os.kill(child, signal.SIGCONT)
  os.killpg(zombie.popen.pid, signal.SIGCONT)
  wait_until(lambda: not faults.task_children(zombie),
             "the end of the zombie's child")
  faults.wait_for(job, "SUCCEEDED")
  shown = faults.show(job)
  assert shown.attempt == 2
  # stop_and_check finds a row or an end of the old attempt after the new one.
  assert [m for _, m in faults.events(job) if "begins" in m] == [
      "Attempt 1 begins on worker zombie", "Attempt 2 begins on worker other"]


def test_a_worker_that_was_stopped_shortly_keeps_its_job(faults):
  worker = faults.start_trainer()
  job = faults.create(steps=120, every=10)
  faults.wait_for_step(job, 10)
  children = faults.task_children(worker)
  os.killpg(worker.popen.pid, signal.SIGSTOP)
  time.sleep(long_or_short(15, LEASE / 3))
  os.killpg(worker.popen.pid, signal.SIGCONT)
  faults.wait_for(job, "SUCCEEDED")
  assert faults.show(job).attempt == 1
  assert children


@pytest.mark.parametrize("down", ["short", "long"])
def test_a_killed_server_loses_nothing_while_workers_train(faults, down):
  """Down for less than the fence, and for longer than the lease."""
  options = SHORT
  if down == "short":
    # A server that takes seconds to start on a busy machine is back in time.
    options = ("--lease-duration", "30", "--heartbeat-interval", "1",
               *QUICK_RETRIES)
    faults.server.terminate()
    faults.start_server(*options)
  worker = faults.start_trainer()
  job = faults.create(steps=400, every=10)
  faults.wait_for_step(job, 20)
  faults.server.kill()
  time.sleep(long_or_short(5, LEASE / 4) if down == "short"
             else long_or_short(120, 1.5 * LEASE))
  faults.start_server(*options)
  faults.wait_for(job, "SUCCEEDED")
  shown = faults.show(job)
  if down == "short":
    assert shown.failure_count == 0
    assert shown.attempt == 1
  else:
    # One, where the worker did not find the server within the fresh term.
    assert shown.failure_count <= 1
    # It stopped by itself before anybody else could have the job.
    assert "stopping before the lease is given away" in (
        worker.log.read_text())
    assert shown.attempt == 2


def test_a_poison_job_ends_and_harms_no_other(faults):
  faults.server.terminate()
  faults.start_server(*SHORT[:-2], "--max-failures", "5")
  worker = faults.start_trainer()
  poison = faults.create(output="poison", steps=100000)
  good = faults.create(output="good", steps=20)
  deadline = time.monotonic() + 120
  while faults.state(poison) != "FAILED" and time.monotonic() < deadline:
    if faults.show(poison).worker_id:
      for child in faults.task_children(worker):
        os.kill(child, signal.SIGKILL)
    time.sleep(0.05)
  shown = faults.show(poison)
  assert faults.state(poison) == "FAILED"
  assert shown.failure_count == 5
  assert "WORKER_CRASHED" in shown.status_message
  faults.wait_for(good, "SUCCEEDED")
  assert faults.show(good).failure_count <= 1


def test_a_second_server_on_the_folder_exits_naming_the_holder(faults):
  second = subprocess.run(
      [BINARIES / "attune-server", "--data-dir", faults.folder / "data",
       "--listen", "127.0.0.1:0", "--metrics", ""],
      capture_output=True, text=True, timeout=60)
  assert second.returncode == 1
  assert str(faults.server.popen.pid) in second.stderr
  job = faults.create()
  assert faults.state(job) == "QUEUED"
