"""The wall clock is set while jobs run: it decides nothing."""

import time

import pytest

from attune.v1 import worker_service_pb2 as pb
from conftest import LEASE, LEASES, SHORT, long_or_short, wait_until
from fake_worker import FakeWorker
from faulty_libc import FaultyLibc
from test_process_faults import run_whole

HOUR = 3600
JUMPS = {"an hour back": lambda: -HOUR, "an hour ahead": lambda: HOUR,
         "to 1970": lambda: 24 * HOUR - time.time()}
TRIED = long_or_short(list(JUMPS), ["an hour back"])


@pytest.fixture
def libc(tmp_path):
  return FaultyLibc(tmp_path / "libc")


@pytest.fixture
def clocked(libc, faults):
  """The service with the server on a clock that can be set."""
  assert faults.server.terminate() == 0
  with libc.loaded():
    faults.start_server(*SHORT)
  return faults


@pytest.mark.parametrize("jump", TRIED)
def test_a_job_ends_with_the_same_bits(libc, clocked, jump):
  """The clock of the machine: of the server, the worker and its children."""
  spec = {"steps": 200, "every": 10}
  with libc.loaded():
    worker = clocked.start_worker("--threads", "1")
  whole = run_whole(clocked, "whole", **spec)
  job = clocked.create(**spec)
  clocked.wait_for_step(job, 20)
  libc.set_clock(JUMPS[jump]())
  clocked.wait_for(job, "SUCCEEDED")
  shown = clocked.show(job)
  assert (shown.attempt, shown.failure_count) == (1, 0)
  assert clocked.outcome(job) == whole
  # Batches wait for others by a timer.
  clocked.run("classify", clocked.folder / "pictures/p0.png", "--model",
              "base", "--labels", "dog,cat")
  began = time.monotonic()
  assert worker.terminate() == 0
  assert clocked.server.terminate() == 0
  assert time.monotonic() - began < 10
  with libc.loaded():
    clocked.start_server(*SHORT)
  assert clocked.state(job) == "SUCCEEDED"


def test_a_workers_clock_costs_it_no_lease(libc, faults):
  """Its heartbeats go on, at a server whose clock is right."""
  with libc.loaded():
    faults.start_trainer()
  job = faults.create(steps=100000, every=1000)
  faults.wait_for_step(job, 5)
  for jump in [*JUMPS.values(), lambda: 0]:
    libc.set_clock(jump())
    before = faults.show(job).step
    time.sleep(1.5 * LEASE)
    shown = faults.show(job)
    assert shown.attempt == 1, faults.events(job)
    assert shown.step > before
  faults.run("job", "cancel", job)
  faults.wait_for(job, "CANCELLED")


@pytest.mark.parametrize("jump", TRIED)
def test_a_lease_and_a_delay_end_in_time(libc, faults, jump):
  delay = 4
  assert faults.server.terminate() == 0
  with libc.loaded():
    faults.start_server(*LEASES, "--retry-delay", str(delay))
  job = faults.create()
  worker = FakeWorker(faults.channel())
  worker.lease()
  worker.heartbeat()
  libc.set_clock(JUMPS[jump]())
  began = time.monotonic()
  assert faults.state(job) == "RUNNING"
  wait_until(lambda: faults.state(job) == "QUEUED", "the end of the lease",
             3 * LEASE)
  assert LEASE - 1 <= time.monotonic() - began <= LEASE + 2
  # A second failure, which is tried again after a delay.
  worker.lease()
  worker.stub.FailTask(pb.FailTaskRequest(
      lease_token=worker.task.lease_token, reason="X",
      kind=pb.FailTaskRequest.KIND_RETRYABLE))
  began = time.monotonic()
  assert faults.state(job) == "BACKOFF"
  libc.set_clock(JUMPS[jump]() - HOUR)
  wait_until(lambda: faults.state(job) == "QUEUED", "the end of the delay",
             3 * delay)
  assert 0.7 * delay - 1 <= time.monotonic() - began <= delay + 2
  assert faults.show(job).failure_count == 2
