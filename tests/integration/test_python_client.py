"""A client in another language, made from the protos alone."""

import hashlib
import uuid

import grpc
import pytest

import pictures

from attune.v1 import (dataset_service_pb2, dataset_service_pb2_grpc,
                       inference_service_pb2, inference_service_pb2_grpc,
                       job_service_pb2, job_service_pb2_grpc,
                       model_service_pb2, model_service_pb2_grpc)
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase)


def delimited(message):
  data = message.SerializeToString()
  size = len(data)
  prefix = bytearray()
  while size > 127:
    prefix.append(size & 127 | 128)
    size >>= 7
  prefix.append(size)
  return bytes(prefix) + data


def upload(datasets, name, examples):
  stream = b"".join(map(delimited, examples))

  def requests():
    request = dataset_service_pb2.UploadExamplesRequest
    yield request(header=request.Header(dataset=name,
                                        request_id=str(uuid.uuid4())))
    for begin in range(0, len(stream), 1 << 20):
      yield request(chunk=stream[begin:begin + (1 << 20)])
    yield request(end=request.End(
        size_bytes=len(stream), sha256=hashlib.sha256(stream).hexdigest()))
  return datasets.UploadExamples(requests())


def test_a_python_client_lists_submits_watches_and_classifies(attune):
  attune.make_tiny_model("base")
  with attune.channel() as channel:
    models = model_service_pb2_grpc.ModelServiceStub(channel)
    datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    inference = inference_service_pb2_grpc.InferenceServiceStub(channel)

    listed = models.ListModels(model_service_pb2.ListModelsRequest())
    assert [model.name for model in listed.models] == ["base"]

    datasets.CreateDataset(dataset_service_pb2.CreateDatasetRequest(
        name="pairs", request_id=str(uuid.uuid4())))
    example = dataset_service_pb2.Example
    answer = upload(datasets, "pairs", [
        example(image=pictures.blob(i),
                pair=example.Pair(preferred=pictures.prompt("dog"),
                                  rejected=pictures.prompt("cat")))
        for i in range(8)
    ])
    assert answer.added_count == 8
    datasets.SealDataset(dataset_service_pb2.SealDatasetRequest(
        name="pairs", request_id=str(uuid.uuid4())))
    get = dataset_service_pb2.GetDatasetRequest(name="pairs")
    while (datasets.GetDataset(get).state !=
           dataset_service_pb2.DATASET_STATE_SEALED):
      pass

    request = job_service_pb2.CreateJobRequest(
        request_id=str(uuid.uuid4()),
        train=job_service_pb2.TrainSpec(
            dataset="pairs", base="base", output_model="robust", steps=20,
            batch_size=8,
            dpo=job_service_pb2.DpoObjective(beta=1, kl_weight=0),
            optimizer=job_service_pb2.Optimizer(learning_rate=1e-3)))
    job = jobs.CreateJob(request)
    assert jobs.CreateJob(request).id == job.id  # the same request_id

    steps = []
    last = None
    for update in jobs.WatchJob(job_service_pb2.WatchJobRequest(id=job.id)):
      steps += [row.step for row in update.metrics]
      last = update.job
    assert last.state == job_service_pb2.JOB_STATE_SUCCEEDED
    assert steps == list(range(1, 21))

    answer = inference.ClassifyImages(
        inference_service_pb2.ClassifyImagesRequest(
            version="robust", images=[pictures.blob(0), b"no picture"],
            labels=["dog", "cat"], templates=["a photo of a {}."]))
    assert answer.version == "robust:1"
    good, bad = answer.classifications
    assert sum(s.probability for s in good.scores) == pytest.approx(1, abs=1e-5)
    assert bad.error.reason == "INVALID_IMAGE" and not bad.scores


def test_health_and_reflection_are_on(bare_server):
  with bare_server.channel() as channel:
    health = health_pb2_grpc.HealthStub(channel)
    for service in ("", "attune.v1.JobService", "attune.v1.ModelService"):
      answer = health.Check(health_pb2.HealthCheckRequest(service=service))
      assert answer.status == health_pb2.HealthCheckResponse.SERVING
    services = ProtoReflectionDescriptorDatabase(channel).get_services()
    assert {f"attune.v1.{name}Service" for name in
            ("Dataset", "Job", "Model", "Inference", "Worker")} <= set(services)


def test_an_unknown_job_is_not_found_with_a_reason(bare_server):
  with bare_server.channel() as channel:
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    with pytest.raises(grpc.RpcError) as error:
      jobs.GetJob(job_service_pb2.GetJobRequest(id="job-000000000000"))
    assert error.value.code() == grpc.StatusCode.NOT_FOUND
    details = dict(error.value.trailing_metadata())
    assert b"NOT_FOUND" in details["grpc-status-details-bin"]
