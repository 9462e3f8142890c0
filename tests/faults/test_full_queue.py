"""A thousand callers against a full queue: memory stays bounded."""

import pathlib
import time

import grpc

import pictures
from attune.v1 import inference_service_pb2 as inference_pb
from attune.v1 import inference_service_pb2_grpc as inference_rpc
from conftest import Faults, wait_until
from fake_worker import SilentServer

CALLERS = 1_000


def memory(pid, name):
  for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
    if line.startswith(name + ":"):
      return int(line.split()[1])
  raise AssertionError(name)


def test_a_thousand_callers_cost_bounded_memory(tmp_path, figures):
  faults = Faults(tmp_path)
  try:
    faults.start_server("--max-queued-images", "256")
    faults.make_tiny_model("base")
    worker = SilentServer(faults.channel())
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
    pathlib.Path(f"/proc/{pid}/clear_refs").write_text("5")
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
