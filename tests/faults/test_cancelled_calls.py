"""A caller leaves at every stage of an inference call: its place is free again,
and the next call is answered."""

import urllib.request

import grpc
import pytest

import pictures
from attune.v1 import inference_service_pb2 as pb
from attune.v1 import inference_service_pb2_grpc as rpc
from conftest import Faults, wait_until
from fake_worker import ServingWorker

# More than two batches of 8, which a worker has at a time.
MANY = 20


@pytest.fixture
def serving(tmp_path):
  """A server with room for MANY pictures in its queue."""
  faults = Faults(tmp_path)
  try:
    faults.start_server("--max-queued-images", str(MANY), "--no-worker-wait",
                        "60")
    faults.make_tiny_model("base")
    yield faults
    faults.stop_and_check()
  finally:
    faults.stop()


def call(faults, timeout=60):
  return rpc.InferenceServiceStub(faults.channel()).EmbedImages.future(
      pb.EmbedImagesRequest(version="base", images=[pictures.blob(1)]),
      timeout=timeout)


def queued(faults):
  """How many inputs wait, as the metrics say."""
  with urllib.request.urlopen(f"http://{faults.metrics}/metrics") as answer:
    for line in answer.read().decode().splitlines():
      if line.startswith("attune_inference_queue_depth "):
        return int(float(line.split()[1]))
  raise AssertionError("no attune_inference_queue_depth")


def leave(faults, calls, how):
  """The callers cancel, or their deadline passes."""
  for each in calls:
    if how == "cancelled":
      each.cancel()
    else:
      # A version that is not loaded shortly before the deadline is told so.
      assert each.exception(timeout=30).code() in (
          grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.UNAVAILABLE)
  wait_until(lambda: queued(faults) == 0, "an empty queue", 10)


@pytest.mark.parametrize("how", ["cancelled", "too late"])
@pytest.mark.parametrize("stage", ["no worker", "loading", "queued",
                                   "computed"])
def test_a_caller_leaves(serving, stage, how):
  timeout = 60 if how == "cancelled" else 3
  worker = None
  if stage != "no worker":
    worker = ServingWorker(serving.channel())
  if stage in ("queued", "computed"):
    worker.loads.set()
  calls = [call(serving, timeout)
           for _ in range(1 if stage == "computed" else MANY)]
  if stage == "no worker":
    wait_until(lambda: queued(serving) == MANY, "the queue")
  elif stage == "loading":
    wait_until(lambda: worker.asked_to_load, "the load")
    wait_until(lambda: queued(serving) == MANY, "the queue")
  elif stage == "queued":
    wait_until(lambda: worker.batches == 2 and 0 < queued(serving) < MANY,
               "two batches under way")
  else:
    wait_until(lambda: worker.batches == 1, "the batch")
  leave(serving, calls, how)

  # All places are free, and what comes late is dropped.
  worker = worker or ServingWorker(serving.channel())
  worker.loads.set()
  worker.answers.set()
  answers = [call(serving) for _ in range(MANY)]
  for answer in answers:
    [embedding] = answer.result().embeddings
    assert embedding.values and not embedding.HasField("error")
  assert queued(serving) == 0
  worker.close()


def test_a_call_that_cannot_be_in_time_takes_no_place(serving):
  with pytest.raises(grpc.RpcError) as late:
    call(serving, timeout=0.001).result()
  assert late.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
  wait_until(lambda: queued(serving) == 0, "an empty queue", 10)
