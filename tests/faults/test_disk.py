"""The server's disk is full, or fails, while jobs run."""

import errno

import grpc
import pytest

from conftest import SHORT, long_or_short, wait_until
from faulty_libc import FaultyLibc
from test_process_faults import run_whole

SPEC = {"steps": 200, "every": 10}
MIB = 1 << 20
# Room for the state of jobs alone, for nothing, or syncs that fail.
FAULTS = {
    "no room for blobs": lambda libc: libc.fill_disk(12 * MIB),
    "blobs full": lambda libc: libc.fail("blobs.db-wal", write=errno.ENOSPC),
    "state full": lambda libc: libc.fail("state.db-wal", write=errno.ENOSPC),
    "blobs do not sync": lambda libc: libc.fail("blobs.db-wal",
                                                sync=errno.EIO),
    "state does not sync": lambda libc: libc.fail("state.db-wal",
                                                  sync=errno.EIO),
}


@pytest.fixture
def libc(tmp_path):
  return FaultyLibc(tmp_path / "libc")


@pytest.fixture
def on_disk(libc, faults):
  """The service with a disk that can be broken."""
  assert faults.server.terminate() == 0
  with libc.loaded():
    faults.start_server(*SHORT)
  return faults


@pytest.mark.parametrize("fault", long_or_short(
    list(FAULTS), ["no room for blobs", "state full", "blobs do not sync"]))
def test_a_job_outlives_its_disk_with_the_same_bits(libc, on_disk, fault):
  worker = on_disk.start_trainer()
  job = on_disk.create(**SPEC)
  on_disk.wait_for_step(job, 20)
  FAULTS[fault](libc)
  if fault == "no room for blobs":
    wait_until(lambda: any("DISK_FULL" in message
                           for _, message in on_disk.events(job)),
               "a checkpoint that is refused")
  else:
    wait_until(lambda: libc.refused >= 3, "writes that are refused")
  assert on_disk.server.running()
  libc.heal()
  on_disk.wait_for(job, "SUCCEEDED")
  # Afterwards: the same run stores the same blobs, and before it had been there
  # would be nothing to write.
  assert run_whole(on_disk, "whole", **SPEC) == on_disk.outcome(job)
  assert worker.running()


@pytest.mark.parametrize("fault, code", [
    ("state full", grpc.StatusCode.RESOURCE_EXHAUSTED),
    ("state does not sync", grpc.StatusCode.UNAVAILABLE),
])
def test_a_job_that_could_not_be_stored_is_not_acknowledged(libc, on_disk,
                                                            fault, code):
  request = on_disk.request()
  FAULTS[fault](libc)
  with pytest.raises(grpc.RpcError) as refused:
    on_disk.jobs().CreateJob(request, timeout=30)
  assert refused.value.code() == code
  # Reading goes on.
  assert on_disk.json("job", "list")["jobs"] == []
  libc.heal()
  first = on_disk.jobs().CreateJob(request, timeout=30)
  second = on_disk.jobs().CreateJob(request, timeout=30)
  for job in (first, second):
    on_disk.acknowledge("CreateJob", request.request_id, job.id)
  assert [job["id"] for job in on_disk.json("job", "list")["jobs"]] == [
      first.id]


@pytest.mark.parametrize("fault", [name for name in FAULTS
                                   if "state" not in name])
def test_an_upload_that_finds_no_room_stores_nothing(libc, on_disk, fault):
  """And adds everything once there is some."""
  on_disk.run("dataset", "create", "more")
  examples = on_disk.folder / "pictures/examples.jsonl"
  FAULTS[fault](libc)
  on_disk.run("dataset", "upload", "more", examples, code=1)
  assert on_disk.json("dataset", "show", "more").get("example_count",
                                                     "0") == "0"
  libc.heal()
  on_disk.run("dataset", "upload", "more", examples)
  assert on_disk.json("dataset", "show", "more")["example_count"] == "40"


def test_a_server_that_died_on_a_full_disk_starts_again(libc, on_disk):
  worker = on_disk.start_trainer()
  job = on_disk.create(**SPEC)
  on_disk.wait_for_step(job, 20)
  libc.fail("state.db-wal", write=errno.ENOSPC)
  wait_until(lambda: libc.refused >= 3, "writes that are refused")
  on_disk.server.kill()
  libc.heal()
  with libc.loaded():
    on_disk.start_server(*SHORT)
  on_disk.wait_for(job, "SUCCEEDED")
  assert on_disk.show(job).output_versions
  assert worker.running()
