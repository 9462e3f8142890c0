"""Every kind of bad input of the public API: its code, its reason, and that
nothing of what the server remembers has changed."""

import sqlite3

import grpc
import pytest

import hostile_images
from api_calls import (chunks, header, new_id, pair, queue_depth, reason_of,
                       upload)
from bad_inputs import (CASES, EXHAUSTED, INVALID, LONG_TEXT, STREAM, classify,
                        train, upload_of)
from conftest import Attune, wait_until

from attune.v1 import (dataset_service_pb2 as ds, dataset_service_pb2_grpc,
                       inference_service_pb2 as inf,
                       inference_service_pb2_grpc, job_service_pb2 as js,
                       job_service_pb2_grpc, model_service_pb2_grpc,
                       worker_service_pb2_grpc)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
  """A server with a worker, a model, datasets in every state and a job."""
  folder = tmp_path_factory.mktemp("bad_input")
  service = Attune(folder)
  try:
    service.start_server()
    service.start_worker()
    service.tiny = service.make_tiny_model("base").read_bytes()
    service.make_tiny_model("second", seed=1)
    with service.channel() as channel:
      service.datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
      service.jobs = job_service_pb2_grpc.JobServiceStub(channel)
      service.models = model_service_pb2_grpc.ModelServiceStub(channel)
      service.inference = inference_service_pb2_grpc.InferenceServiceStub(
          channel)
      service.worker_stub = worker_service_pb2_grpc.WorkerServiceStub(
          channel)
      service.used_id = new_id()
      service.datasets.CreateDataset(ds.CreateDatasetRequest(
          name="open", request_id=service.used_id))
      for name in ("empty", "sealed", "long"):
        service.run("dataset", "create", name)
      service.datasets.CreateDataset(ds.CreateDatasetRequest(
          name="named", candidates=["a dog", "a cat"], request_id=new_id()))
      upload(service, pair())
      for name, text in (("sealed", "a dog"), ("long", LONG_TEXT.strip())):
        upload(service, *(pair(text, f"a cat {i}") for i in range(4)),
               dataset=name)
        service.run("dataset", "seal", name)
      service.done_job = service.json(
          "job", "submit", "--dataset", "sealed", "--model", "base",
          "--output-model", "done", "--steps", "1", "--batch-size", "4",
          "--kl-weight", "0")["id"]
      wait_until(lambda: service.jobs.GetJob(js.GetJobRequest(
          id=service.done_job)).state == js.JOB_STATE_SUCCEEDED, "the job")
      yield service
  finally:
    service.stop()


def remembered(service):
  """Every row of every table of state.db."""
  path = service.folder / "data/state.db"
  with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as database:
    tables = [row[0] for row in database.execute(
        "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY 1")]
    return {table: sorted(database.execute(f"SELECT * FROM {table}"), key=repr)
            for table in tables}


@pytest.mark.parametrize("name", CASES)
def test_is_refused_and_nothing_changes(service, name):
  call, code, reason = CASES[name]
  before = remembered(service)
  with pytest.raises(grpc.RpcError) as error:
    call(service)
  assert (error.value.code(), reason_of(error.value)) == (code, reason), (
      error.value.details())
  assert error.value.details()
  assert remembered(service) == before


def test_a_stream_without_its_end_leaves_only_what_can_be_gone_on_with(service):
  """It looks like a cut one, whose client may come back."""
  before = remembered(service)
  first = header()
  with pytest.raises(grpc.RpcError) as error:
    upload_of([first, *chunks(STREAM)])(service)
  assert (error.value.code(), reason_of(error.value)) == (
      INVALID, "MALFORMED_STREAM")
  after = remembered(service)
  changed = {table for table in after if after[table] != before[table]}
  assert changed == {"uploads", "upload_parts", "upload_blobs"}
  kept = service.datasets.GetUpload(ds.GetUploadRequest(
      dataset="open", request_id=first.header.request_id))
  assert (kept.offset, kept.committed) == (len(STREAM), False)


@pytest.mark.parametrize("name", hostile_images.REFUSED)
def test_a_hostile_image_fails_its_item_alone(service, name):
  file = hostile_images.REFUSED[name]
  answer = classify(images=[hostile_images.GOOD, file])(service)
  good, bad = answer.classifications
  assert len(good.scores) == 2
  assert bad.error.reason == "INVALID_IMAGE"
  assert bad.error.code == INVALID.value[0]


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_truncated_image_fails_its_item_alone(service, cut):
  file = hostile_images.GOOD
  file = file[:int(len(file) * cut)]
  answer = classify(images=[file, hostile_images.GOOD])(service)
  bad, good = answer.classifications
  assert len(good.scores) == 2
  assert bad.error.reason == "INVALID_IMAGE"


@pytest.mark.parametrize("name", hostile_images.AT_THE_LIMIT)
def test_a_header_at_the_limit_is_taken(service, name):
  dataset = f"limit-{name.replace('_', '-')}"
  service.run("dataset", "create", dataset)
  file = hostile_images.AT_THE_LIMIT[name]
  assert upload(service, pair(image=file), dataset=dataset).added_count == 1


def test_truncated_images_are_found_at_the_seal(service):
  service.run("dataset", "create", "damaged")
  damaged = hostile_images.GOOD[:-40]
  upload(service, pair(), pair(image=damaged), pair("a", "b"),
         dataset="damaged")
  service.run("dataset", "seal", "damaged", code=1)
  shown = service.datasets.GetDataset(ds.GetDatasetRequest(name="damaged"))
  assert shown.state == ds.DATASET_STATE_INVALID
  assert [row.example for row in shown.invalid_examples] == [2]


def test_a_huge_page_size_is_capped(service):
  jobs = service.jobs.ListJobs(js.ListJobsRequest(page_size=10**9)).jobs
  assert len(jobs) >= 1


def test_a_name_of_63_characters_is_taken(service):
  service.run("dataset", "create", "n" * 63)


def test_zero_is_legal_where_it_is(service):
  request = train(dpo=js.DpoObjective(kl_weight=0, label_smoothing=0),
                  optimizer=js.Optimizer(warmup_ratio=0, weight_decay=0),
                  seed=0)
  job = service.jobs.CreateJob(request)
  service.jobs.CancelJob(js.CancelJobRequest(id=job.id, request_id=new_id()))

  def state():
    return service.jobs.GetJob(js.GetJobRequest(id=job.id)).state
  wait_until(lambda: state() in (js.JOB_STATE_CANCELLED,
                                 js.JOB_STATE_SUCCEEDED), "the end")
  if state() == js.JOB_STATE_CANCELLED:
    # Of a cancelled one it is OK.
    service.jobs.CancelJob(js.CancelJobRequest(id=job.id,
                                               request_id=new_id()))


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip,
                                         grpc.Compression.Deflate])
def test_a_compressed_request_is_unimplemented(service, compression):
  # A bomb: 3 MiB of one letter, a few KiB compressed.
  request = ds.CreateDatasetRequest(
      name="bomb", request_id=new_id(),
      candidates=["x" * 8000 + f"{i:04}" for i in range(350)])
  before = remembered(service)
  with pytest.raises(grpc.RpcError) as error:
    service.datasets.CreateDataset(request, compression=compression)
  assert error.value.code() == grpc.StatusCode.UNIMPLEMENTED
  assert remembered(service) == before


@pytest.mark.parametrize("seconds", [0.000001, 0.001])
def test_a_deadline_that_is_past_frees_its_slot(service, seconds):
  before = remembered(service)
  for _ in range(20):
    with pytest.raises(grpc.RpcError) as error:
      # New texts, which no cache has, of less than the model's 16 tokens.
      service.inference.EmbedTexts(inf.EmbedTextsRequest(
          version="second", texts=[new_id()[:8] for _ in range(50)]),
          timeout=seconds)
    assert error.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED
  wait_until(lambda: queue_depth(service) == 0, "an empty queue", seconds=20)
  assert remembered(service) == before
  answer = classify()(service)
  assert len(answer.classifications[0].scores) == 2


def test_a_message_above_what_the_server_receives_is_refused(service):
  before = remembered(service)
  with pytest.raises(grpc.RpcError) as error:
    classify(images=[b"x" * (33 << 20)])(service)
  assert error.value.code() == EXHAUSTED
  assert remembered(service) == before
