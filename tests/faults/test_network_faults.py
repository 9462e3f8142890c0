"""A TCP proxy breaks the network between the server and a worker or client."""

import re
import time
import uuid

import grpc
import pytest

from attune.v1 import job_service_pb2 as jobs_pb
from attune.v1 import job_service_pb2_grpc as jobs_rpc
from attune.v1 import worker_service_pb2 as pb
from conftest import LEASE, long_or_short, wait_until
from fake_worker import FakeWorker
from proxy import Proxy
from test_process_faults import run_whole

SPEC = {"steps": 200, "every": 10}

# The events of attempts that did not do the job, and those of them to which the
# network alone put an end.
ATTEMPT_ENDED = re.compile(r"Attempt \d+ failed: |"
                           r"Handed back and queued again: ")
LEASE_LOST = re.compile(r": (nothing was heard of worker |"
                        r"its worker asked for another task$|"
                        r"the task did not reach its worker$)")


@pytest.fixture
def proxied(faults):
  """A worker behind a proxy, and what a run without faults gives."""
  plain = faults.start_trainer()
  faults.whole = run_whole(faults, "whole", **SPEC)
  plain.kill()
  faults.proxy = Proxy(faults.address)
  address, faults.address = faults.address, faults.proxy.address
  faults.start_trainer()
  faults.address = address
  yield faults
  faults.proxy.close()


def test_a_short_cut_changes_nothing(proxied):
  job = proxied.create(**SPEC)
  proxied.wait_for_step(job, 20)
  proxied.proxy.mode = "cut"
  # gRPC waits up to a few seconds before it connects again.
  time.sleep(long_or_short(10, LEASE / 6))
  proxied.proxy.mode = "pass"
  proxied.wait_for(job, "SUCCEEDED")
  assert proxied.show(job).attempt == 1
  assert proxied.outcome(job) == proxied.whole


@pytest.mark.parametrize("mode", ["cut", "hold"])
def test_a_long_cut_costs_an_attempt_and_no_bit(proxied, mode):
  """Reset, or half-open: nothing comes and nothing says so."""
  job = proxied.create(**SPEC)
  proxied.wait_for_step(job, 20)
  proxied.proxy.mode = mode
  cut_at = time.monotonic()
  wait_until(lambda: proxied.state(job) == "QUEUED", "the end of the lease",
             2 * LEASE)
  while time.monotonic() < cut_at + long_or_short(60, 0):
    time.sleep(0.1)
  # The worker has stopped by itself, before the lease was another's.
  assert not proxied.task_children(proxied.workers[-1])
  proxied.proxy.mode = "pass"
  proxied.proxy.break_connections()
  proxied.wait_for(job, "SUCCEEDED")
  messages = [message for _, message in proxied.events(job)]
  begun = [m for m in messages if " begins on worker " in m]
  ended = [m for m in messages if ATTEMPT_ENDED.match(m)]
  assert len(begun) == proxied.show(job).attempt, messages
  assert len(ended) == len(begun) - 1, messages
  assert ended[0].startswith("Attempt 1 failed: nothing was heard of worker ")
  # A task that went into the broken connection takes one more.
  assert len(begun) <= 3, messages
  assert all(LEASE_LOST.search(m) for m in ended), messages
  assert proxied.outcome(job) == proxied.whole


def test_replies_to_the_worker_are_lost(proxied):
  """What it reports has arrived: it says it again, and it counts once."""
  job = proxied.create(**SPEC)
  for step in (20, 80, 140):
    proxied.wait_for_step(job, step)
    proxied.proxy.mode = "deaf"
    time.sleep(1)
    proxied.proxy.mode = "pass"
    proxied.proxy.break_connections()
  # Over the end: the completion may be among what is lost.
  wait_until(lambda: proxied.show(job).step >= 195 or
             proxied.state(job) == "SUCCEEDED", "the last steps")
  proxied.proxy.mode = "deaf"
  time.sleep(LEASE / 4)
  proxied.proxy.mode = "pass"
  proxied.proxy.break_connections()
  proxied.wait_for(job, "SUCCEEDED")
  assert proxied.outcome(job) == proxied.whole


def test_a_lost_reply_to_create_job_makes_one_job(faults):
  proxy = Proxy(faults.address)
  stub = jobs_rpc.JobServiceStub(faults.channel(proxy.address))
  # The connection is there before its replies are lost.
  stub.ListJobs(jobs_pb.ListJobsRequest(), timeout=10)
  request = faults.request()
  proxy.mode = "deaf"
  with pytest.raises(grpc.RpcError):
    stub.CreateJob(request, timeout=2)
  wait_until(lambda: len(faults.json("job", "list")["jobs"]) == 1, "the job")
  proxy.mode = "pass"
  proxy.break_connections()

  def repeated():
    try:
      return stub.CreateJob(request, timeout=30, wait_for_ready=True)
    except grpc.RpcError as error:
      # The connection that was broken shows at the next call.
      assert error.code() == grpc.StatusCode.UNAVAILABLE
      return None

  job = wait_until(repeated, "an answer")
  faults.acknowledge("CreateJob", request.request_id, job.id)
  assert len(faults.json("job", "list")["jobs"]) == 1
  proxy.close()


def test_reordered_and_replayed_reports_count_once(faults):
  job = faults.create()
  worker = FakeWorker(faults.channel())
  token = worker.lease().lease_token

  def report(first, last, loss):
    worker.stub.ReportMetrics(pb.ReportMetricsRequest(
        lease_token=token, total_steps=60,
        rows=[jobs_pb.MetricRow(step=step, loss=loss)
              for step in range(first, last + 1)]))

  report(6, 10, 0.5)
  report(1, 5, 0.25)
  report(1, 10, 0.125)
  report(6, 10, 0.125)
  rows = faults.jobs().ListMetrics(
      jobs_pb.ListMetricsRequest(job_id=job)).rows
  assert [row.step for row in rows] == list(range(1, 11))
  assert {row.loss for row in rows} == {0.125}
  assert faults.show(job).step == 10
  fail = pb.FailTaskRequest(lease_token=token, reason="X",
                            kind=pb.FailTaskRequest.KIND_RETRYABLE)
  worker.stub.FailTask(fail)
  with pytest.raises(grpc.RpcError) as again:
    worker.stub.FailTask(fail)
  assert again.value.code() == grpc.StatusCode.ABORTED
  assert faults.show(job).failure_count == 1


def test_a_cancel_is_replayed_after_the_retry(faults):
  """A late copy of a call does not touch what came after it."""
  job = faults.create()
  pause = jobs_pb.PauseJobRequest(id=job, request_id=str(uuid.uuid4()))
  faults.jobs().PauseJob(pause)
  faults.jobs().ResumeJob(jobs_pb.ResumeJobRequest(id=job))
  faults.jobs().PauseJob(pause)
  assert faults.state(job) == "QUEUED"
