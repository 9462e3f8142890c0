"""SIGTERM: what runs may end, nobody can hold the process up, and a second
signal stops at once."""

import os
import signal
import threading
import time

import grpc
import pytest

from attune.v1 import dataset_service_pb2 as datasets_pb
from attune.v1 import dataset_service_pb2_grpc as datasets_rpc
from attune.v1 import job_service_pb2 as jobs_pb
from attune.v1 import model_service_pb2 as models_pb
from attune.v1 import model_service_pb2_grpc as models_rpc
from conftest import SHORT, wait_until
from fake_worker import FakeWorker
from grpc_health.v1 import health_pb2, health_pb2_grpc
from proxy import Proxy


def stalled_upload(faults, ended):
  """An upload whose client sends nothing after its header."""

  def requests():
    header = datasets_pb.UploadExamplesRequest()
    header.header.dataset = "open"
    yield header
    ended.wait(120)

  return datasets_rpc.DatasetServiceStub(faults.channel()).UploadExamples.future(
      requests())


def unread_download(faults, proxy):
  """A download over a connection from which nobody reads."""
  stub = models_rpc.ModelServiceStub(faults.channel(proxy.address))
  call = stub.ExportVersion(models_pb.ExportVersionRequest(version="base"))
  next(iter(call))
  proxy.mode = "hold"
  return call


def test_a_drain_with_stalled_peers_ends_in_time(faults, figures):
  """A watch, a long poll, a stalled upload and a client that never reads: the
  published limit of 30 s holds, and the exit code is 0."""
  faults.run("dataset", "create", "open")
  job = faults.create()
  ended = threading.Event()
  proxy = Proxy(faults.address)
  calls = [
      stalled_upload(faults, ended),
      unread_download(faults, proxy),
      faults.jobs().WatchJob(jobs_pb.WatchJobRequest(id=job)),
      FakeWorker(faults.channel(), "idle").stub.Serve(iter([])),
  ]
  time.sleep(1)
  began = time.monotonic()
  faults.server.popen.send_signal(signal.SIGTERM)
  health = health_pb2_grpc.HealthStub(faults.channel())
  wait_until(lambda: health.Check(health_pb2.HealthCheckRequest()).status ==
             health_pb2.HealthCheckResponse.NOT_SERVING, "NOT_SERVING", 10)
  with pytest.raises(grpc.RpcError) as refused:
    faults.jobs().ListJobs(jobs_pb.ListJobsRequest())
  assert refused.value.code() == grpc.StatusCode.UNAVAILABLE
  assert faults.server.popen.wait(40) == 0
  took = time.monotonic() - began
  figures.maximum("drain_max_s", took)
  assert took <= 32
  ended.set()
  proxy.close()
  for call in calls:
    call.cancel()
  faults.start_server(*SHORT)


def test_a_drain_without_calls_is_quick(faults, figures):
  began = time.monotonic()
  assert faults.server.terminate() == 0
  figures.maximum("drain_idle_max_s", time.monotonic() - began)
  assert time.monotonic() - began < 5
  faults.start_server(*SHORT)


def test_a_second_signal_stops_the_server_at_once(faults):
  faults.run("dataset", "create", "open")
  ended = threading.Event()
  call = stalled_upload(faults, ended)
  time.sleep(1)
  faults.server.popen.send_signal(signal.SIGTERM)
  time.sleep(1)
  assert faults.server.running()
  faults.server.popen.send_signal(signal.SIGTERM)
  assert faults.server.popen.wait(5) == 1
  ended.set()
  call.cancel()
  faults.start_server(*SHORT)


def test_a_drained_worker_hands_back_with_a_checkpoint(faults):
  worker = faults.start_trainer()
  job = faults.create(steps=2000, every=1000)
  faults.wait_for_step(job, 20)
  began = time.monotonic()
  assert worker.terminate(70) == 0
  assert time.monotonic() - began <= 60
  shown = faults.show(job)
  assert faults.state(job) == "QUEUED"
  assert shown.failure_count == 0
  checkpoints = faults.jobs().ListCheckpoints(
      jobs_pb.ListCheckpointsRequest(job_id=job)).checkpoints
  assert checkpoints and checkpoints[0].step >= 20
  faults.run("job", "cancel", job)


def test_a_second_signal_stops_the_worker_and_its_child_at_once(faults):
  worker = faults.start_trainer()
  job = faults.create(steps=100000, every=50000)
  faults.wait_for_step(job, 5)
  [child] = faults.task_children(worker)
  # It cannot store anything: the hand-back would take its whole limit.
  os.kill(child, signal.SIGSTOP)
  worker.popen.send_signal(signal.SIGTERM)
  time.sleep(1)
  assert worker.running()
  worker.popen.send_signal(signal.SIGTERM)
  assert worker.popen.wait(5) == 1
  wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the child's end")
  faults.run("job", "cancel", job)


def test_a_child_that_cannot_stop_is_killed_after_the_limit(faults):
  worker = faults.start_trainer("--hand-back-limit", "3")
  job = faults.create(steps=100000, every=20)
  faults.wait_for_step(job, 45)
  [child] = faults.task_children(worker)
  os.kill(child, signal.SIGSTOP)
  began = time.monotonic()
  assert worker.terminate(30) == 0
  assert 2 <= time.monotonic() - began < 10
  # The checkpoint before stands, and it was no failure.
  assert faults.state(job) == "QUEUED"
  assert faults.show(job).failure_count == 0
  assert faults.show(job).step >= 40
  faults.run("job", "cancel", job)


def test_a_task_that_gets_nothing_done_is_killed_and_tried_again(faults):
  worker = faults.start_trainer("--stall-after", "3")
  job = faults.create(steps=200, every=20)
  faults.wait_for_step(job, 30)
  [child] = faults.task_children(worker)
  # Heartbeats go on: a live thread hides a device that hangs.
  os.kill(child, signal.SIGSTOP)
  wait_until(lambda: any("STALLED" in message
                         for _, message in faults.events(job)), "STALLED")
  faults.wait_for(job, "SUCCEEDED")
  assert faults.show(job).attempt == 2
