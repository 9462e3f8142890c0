"""More than the server can take: its memory stays bounded."""

import pathlib
import time

import grpc
import pytest

import pictures
from attune.v1 import inference_service_pb2 as inference_pb
from attune.v1 import inference_service_pb2_grpc as inference_rpc
from conftest import Faults, wait_until
from fake_worker import ServingWorker

CALLERS = 1_000


def memory(pid, name):
  for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
    if line.startswith(name + ":"):
      return int(line.split()[1])
  raise AssertionError(name)


def forget_peak(pid):
  """VmHWM is counted from now on."""
  pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")


def test_a_thousand_callers_cost_bounded_memory(tmp_path, figures):
  faults = Faults(tmp_path)
  try:
    faults.start_server("--max-queued-images", "256")
    faults.make_tiny_model("base")
    worker = ServingWorker(faults.channel())
    worker.loads.set()
    stub = inference_rpc.InferenceServiceStub(faults.channel())
    image = pictures.blob(1, side=256)

    def call():
      return stub.EmbedImages.future(inference_pb.EmbedImagesRequest(
          version="base", images=[image]), timeout=60)

    # Fills the queue: none of these is answered.
    waiting = [call() for _ in range(300)]
    wait_until(lambda: worker.batches > 0, "the first batch")
    time.sleep(1)
    pid = faults.server.popen.pid
    before = memory(pid, "VmRSS")
    forget_peak(pid)
    calls = [call() for _ in range(CALLERS)]
    codes = [each.exception(timeout=60).code() for each in calls]
    peak = memory(pid, "VmHWM")
    assert codes.count(grpc.StatusCode.RESOURCE_EXHAUSTED) >= 0.9 * CALLERS
    figures.maximum("memory_ratio_full_queue", peak / before)
    assert peak / before < 2
    for each in waiting:
      each.cancel()
    worker.close()
    faults.stop_and_check()
  finally:
    faults.stop()


def test_a_message_of_a_gibibyte_is_refused_unread(tmp_path):
  faults = Faults(tmp_path)
  try:
    faults.start_server("--max-buffered-bytes", str(64 << 20))
    faults.run("dataset", "list")
    pid = faults.server.popen.pid
    before = memory(pid, "VmRSS")
    forget_peak(pid)
    channel = grpc.insecure_channel(
        faults.address, options=[("grpc.max_send_message_length", -1)])
    embed = channel.unary_unary("/attune.v1.InferenceService/EmbedImages")
    with pytest.raises(grpc.RpcError) as refused:
      embed(bytes(1 << 30), timeout=120)
    assert refused.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    assert memory(pid, "VmHWM") < before + (128 << 10)
    channel.close()
    faults.run("dataset", "list")
    faults.stop_and_check()
  finally:
    faults.stop()
