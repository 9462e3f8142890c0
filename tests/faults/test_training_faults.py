"""Training that cannot go on, and pictures that cannot be read."""

import os
import resource

import grpc
import pytest

import pictures
from attune.v1 import dataset_service_pb2 as pb
from attune.v1 import dataset_service_pb2_grpc as rpc
from conftest import wait_until


def test_a_loss_that_is_not_finite_ends_the_job_and_no_other(faults):
  worker = faults.start_trainer()
  request = faults.request(output="diverged")
  request.train.optimizer.learning_rate = 1e30
  job = faults.jobs().CreateJob(request).id
  good = faults.create(output="good", steps=20)
  faults.wait_for(job, "FAILED")
  shown = faults.show(job)
  # Another attempt would meet it again.
  assert shown.attempt == 1
  assert "NON_FINITE_LOSS" in shown.status_message
  faults.wait_for(good, "SUCCEEDED")
  assert worker.running()


def test_a_damaged_picture_among_good_ones_is_named_and_dropped(faults):
  faults.start_trainer()
  folder = faults.folder / "damaged"
  examples = pictures.write_examples(folder)
  whole = (folder / "p7.png").read_bytes()
  # Its header is good: only a decoder finds it.
  (folder / "p7.png").write_bytes(whole[:len(whole) // 2])
  faults.run("dataset", "create", "damaged")
  faults.run("dataset", "upload", "damaged", examples, "--seal", code=1)
  stub = rpc.DatasetServiceStub(faults.channel())
  dataset = stub.GetDataset(pb.GetDatasetRequest(name="damaged"))
  assert dataset.state == pb.DATASET_STATE_INVALID
  # Ids begin at 1.
  assert [row.example for row in dataset.invalid_examples] == [8]
  request = faults.request()
  request.train.dataset = "damaged"
  with pytest.raises(grpc.RpcError) as refused:
    faults.jobs().CreateJob(request)
  assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
  faults.run("dataset", "drop", "damaged")
  wait_until(lambda: stub.GetDataset(pb.GetDatasetRequest(
      name="damaged")).state == pb.DATASET_STATE_SEALED, "the seal")
  assert stub.GetDataset(pb.GetDatasetRequest(
      name="damaged")).pair_count == 15
  request.train.steps = 10
  job = faults.jobs().CreateJob(request)
  faults.wait_for(job.id, "SUCCEEDED")


def test_a_process_that_runs_out_of_memory_harms_no_other(faults):
  worker = faults.start_trainer()
  job = faults.create(output="large", steps=400, every=10)
  faults.wait_for_step(job, 20)
  [child] = faults.task_children(worker)
  with open(f"/proc/{child}/status", encoding="utf-8") as status:
    [size] = [int(line.split()[1]) for line in status
              if line.startswith("VmSize:")]
  # What it asks for from now on it does not get.
  resource.prlimit(child, resource.RLIMIT_AS, (size << 10, size << 10))
  wait_until(lambda: not os.path.exists(f"/proc/{child}"), "the child's end")
  wait_until(lambda: faults.state(job) in ("FAILED", "SUCCEEDED"), "its end")
  told = " ".join(message for _, message in faults.events(job))
  assert "OUT_OF_MEMORY" in told or "WORKER_CRASHED" in told
  good = faults.create(output="good", steps=20)
  faults.wait_for(good, "SUCCEEDED")
  assert worker.running()
