"""What a worker that has lost its lease says has no effect."""

import concurrent.futures
import hashlib
import statistics
import time

import grpc
import pytest

from attune.v1 import job_service_pb2 as jobs_pb
from attune.v1 import worker_service_pb2 as pb
from conftest import Faults, LEASE, long_or_short, wait_until
from fake_worker import FakeWorker
import invariants


def everything(faults):
  """All rows that a worker can write, as text."""
  state = invariants.open_database(faults.folder / "data" / "state.db")
  tables = ["jobs", "metrics", "events", "checkpoints", "tensors", "versions",
            "evaluations", "datasets"]
  text = "\n".join(f"{table} {row}" for table in tables
                   for row in state.execute(f"SELECT * FROM {table}"))
  state.close()
  return text


def stale_calls(stub, worker_id, token, step):
  """One of each write that a worker can make."""
  blob = b"stale %d" % step
  yield lambda: stub.Heartbeat(pb.HeartbeatRequest(
      worker_id=worker_id, lease_token=token, step=step))
  yield lambda: stub.ReportMetrics(pb.ReportMetricsRequest(
      lease_token=token, rows=[jobs_pb.MetricRow(step=step, loss=0.5)],
      total_steps=10, unusable_checkpoints=[step]))
  yield lambda: stub.CommitCheckpoint(pb.CommitCheckpointRequest(
      lease_token=token, checkpoint=pb.CheckpointContent(step=step,
                                                         state="{}")))
  yield lambda: stub.PutBlobs(iter([pb.PutBlobsRequest(
      lease_token=token, digest=hashlib.sha256(blob).hexdigest(),
      size_bytes=len(blob), chunk=blob)]))
  yield lambda: stub.CompleteTask(pb.CompleteTaskRequest(
      lease_token=token, train=pb.TrainResult()))
  for kind in (pb.FailTaskRequest.KIND_RETRYABLE,
               pb.FailTaskRequest.KIND_PERMANENT,
               pb.FailTaskRequest.KIND_HAND_BACK):
    yield lambda kind=kind: stub.FailTask(pb.FailTaskRequest(
        lease_token=token, kind=kind, reason="STALE", message="stale"))


def test_no_write_of_a_lost_lease_lands(faults, figures):
  """1,000 calls in the long form."""
  faults.create()
  first = FakeWorker(faults.channel(), "first")
  assert first.lease() is not None
  stale = first.task.lease_token
  # Not heard of any more: the job is given to another.
  second = FakeWorker(faults.channel(), "second")
  wait_until(lambda: second.lease(wait=2) is not None, "the second lease",
             3 * LEASE)
  second.live()
  assert second.task.attempt == 2
  forged = stale[:-1] + ("0" if stale[-1] != "0" else "1")
  before = everything(faults)
  landed = tried = 0
  while tried < long_or_short(1000, 120):
    for token in (stale, forged, ""):
      for call in stale_calls(first.stub, first.id, token, tried + 1):
        if token == "" and tried % 8 == 0:
          tried += 1
          continue  # a heartbeat without a lease is an idle worker's
        tried += 1
        try:
          call()
          landed += 1
        except grpc.RpcError as error:
          assert error.code() in (grpc.StatusCode.ABORTED,
                                  grpc.StatusCode.INVALID_ARGUMENT), error
  figures.set("stale_commits", landed)
  assert landed == 0
  assert everything(faults) == before
  second.die()


def test_requeue_after_a_worker_is_killed(tmp_path, figures):
  """The published constants, many workers at once: each says nothing more at a
  moment of its own, as after SIGKILL."""
  count = long_or_short(200, 20)
  faults = Faults(tmp_path)
  try:
    faults.start_server()
    faults.prepare()
    workers = [FakeWorker(faults.channel(), f"w{i}") for i in range(count)]
    jobs = [faults.create(output=f"m{i}") for i in range(count)]
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
      list(pool.map(lambda worker: worker.lease(), workers))
    for worker in workers:
      assert worker.task is not None
      worker.live()
    # Deaths spread over one interval of heartbeats.
    for worker in workers:
      worker.die()
      time.sleep(worker.interval / count)
    died = {worker.task.id: worker.died_at for worker in workers}
    waited = []
    for job in jobs:
      wait_until(lambda: faults.show(job).failure_count == 1, f"{job} requeued")
      requeued = [time for time, message in faults.events(job)
                  if message.startswith("Attempt 1 failed")]
      waited.append(requeued[0] - died[job])
    figures.maximum("requeue_after_kill_max_s", max(waited))
    figures.set("requeue_after_kill_p50_s",
                round(statistics.median(waited), 3))
    figures.set("requeue_after_kill_count", count)
    assert max(waited) <= 35
    # Not before its time either: the last heartbeat gave it 30 s.
    assert min(waited) >= 30 - workers[0].interval - 1
    faults.stop_and_check()
  finally:
    faults.stop()
