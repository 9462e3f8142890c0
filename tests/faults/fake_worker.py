"""A worker without a model, over real gRPC: it leases tasks, says that it
lives, and says nothing more when it is killed."""

import queue
import threading
import time
import uuid

import grpc
from attune.v1 import types_pb2
from attune.v1 import worker_service_pb2 as pb
from attune.v1 import worker_service_pb2_grpc as rpc


class FakeWorker:

  def __init__(self, channel, worker_id=None):
    self.id = worker_id or f"fake-{uuid.uuid4().hex[:8]}"
    self.stub = rpc.WorkerServiceStub(channel)
    self.terms = self.stub.Register(pb.RegisterRequest(
        worker_id=self.id, roles=[pb.WORKER_ROLE_TRAIN],
        device=types_pb2.WorkerDevice(kind="cpu"), build="fake"))
    self.interval = self.terms.heartbeat_interval.ToNanoseconds() / 1e9
    self.task = None
    self.died_at = None
    self._end = threading.Event()
    self._thread = None

  def lease(self, wait=20):
    """The next task, or None."""
    request = pb.LeaseTaskRequest(worker_id=self.id)
    request.wait.FromSeconds(wait)
    answer = self.stub.LeaseTask(request, timeout=wait + 10)
    self.task = answer.task if answer.HasField("task") else None
    return self.task

  def heartbeat(self, step=0):
    return self.stub.Heartbeat(pb.HeartbeatRequest(
        worker_id=self.id, lease_token=self.task.lease_token, step=step),
        timeout=10)

  def live(self):
    """Beats from a thread until die() or the lease is lost."""
    self._thread = threading.Thread(target=self._beat, daemon=True)
    self._thread.start()

  def die(self):
    self._end.set()
    self._thread.join()
    self.died_at = time.time()

  def _beat(self):
    while not self._end.wait(self.interval):
      try:
        self.heartbeat()
      except grpc.RpcError:
        return


class ServingWorker:
  """A serving worker that loads what it is told to and answers every picture
  with ones; what it is told meanwhile waits while `loads` or `answers` is
  not set."""

  def __init__(self, channel, dimensions=64):
    self.id = f"serving-{uuid.uuid4().hex[:8]}"
    self.loads = threading.Event()
    self.answers = threading.Event()
    self.asked_to_load = 0
    self.batches = 0
    self._dimensions = dimensions
    stub = rpc.WorkerServiceStub(channel)
    device = types_pb2.WorkerDevice(kind="cpu")
    stub.Register(pb.RegisterRequest(worker_id=self.id, device=device,
                                     roles=[pb.WORKER_ROLE_SERVE],
                                     build="fake"))
    self._messages = queue.Queue()
    self._messages.put(pb.ServeRequest(hello=pb.ServeRequest.Hello(
        worker_id=self.id, device=device, version_slots=2,
        preferred_batch_size=8)))
    self._call = stub.Serve(iter(self._messages.get, None))
    threading.Thread(target=self._read, daemon=True).start()

  def _read(self):
    try:
      for message in self._call:
        if message.HasField("load"):
          self.asked_to_load += 1
          self._send_after(self.loads, pb.ServeRequest(
              load_result=pb.ServeRequest.LoadResult(
                  version_digest=message.load.version.digest)))
        elif message.HasField("batch"):
          self.batches += 1
          self._send_after(self.answers, pb.ServeRequest(
              batch_result=pb.ServeRequest.BatchResult(
                  batch_id=message.batch.batch_id,
                  embeddings=[1.0] * (len(message.batch.images) *
                                      self._dimensions))))
    except grpc.RpcError:
      pass

  def _send_after(self, event, message):

    def send():
      event.wait()
      self._messages.put(message)

    threading.Thread(target=send, daemon=True).start()

  def close(self):
    self._messages.put(None)
    self._call.cancel()
