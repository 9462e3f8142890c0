"""The table of bad inputs of the public API: CASES maps a name to a call, the
code and the reason that it must fail with."""

import hashlib
import json
import struct

import grpc

import hostile_images
from api_calls import chunks, delimited, end, header, new_id, pair, upload

from attune.v1 import (dataset_service_pb2 as ds, inference_service_pb2 as inf,
                       job_service_pb2 as js, model_service_pb2 as ms,
                       worker_service_pb2 as ws)

INVALID = grpc.StatusCode.INVALID_ARGUMENT
PRECONDITION = grpc.StatusCode.FAILED_PRECONDITION
NOT_FOUND = grpc.StatusCode.NOT_FOUND
DATA_LOSS = grpc.StatusCode.DATA_LOSS
ALREADY_EXISTS = grpc.StatusCode.ALREADY_EXISTS
EXHAUSTED = grpc.StatusCode.RESOURCE_EXHAUSTED

LONG_TEXT = "word " * 200
NAMES = {
    "parent": "../x", "absolute": "/etc/x", "slash": "a/b", "dot": ".",
    "empty": "", "300_characters": "a" * 300, "percent": "%2e%2e",
    "nul": "a\0b", "64_characters": "a" * 64, "upper_case": "Model",
    "space": "a b", "backslash": "a\\b", "newline": "a\n",
}
TEXTS = {
    "empty": "", "blank": " \t ", "more_than_8_kib": "a" * 8193,
    "nul": "a\0b", "control": "a\x07b", "newline": "a\nb", "delete": "a\x7fb",
    "c1_control": "a\u0085b",
}


def train(**fields):
  spec = dict(dataset="sealed", base="base", output_model="out", steps=1,
              batch_size=4, dpo=js.DpoObjective(kl_weight=0))
  spec.update(fields)
  return js.CreateJobRequest(request_id=new_id(), train=js.TrainSpec(**spec))


def submit(**fields):
  return lambda service: service.jobs.CreateJob(train(**fields))


def objective(**fields):
  return submit(dpo=js.DpoObjective(**{"kl_weight": 0, **fields}))


def optimizer(**fields):
  return submit(optimizer=js.Optimizer(**fields))


def model_stream(file, size=None, sha256=None, model="imported", step=1 << 20):
  request = ms.ImportModelRequest
  yield request(header=request.Header(model=model, request_id=new_id()))
  for begin in range(0, len(file), step):
    yield request(chunk=file[begin:begin + step])
  yield request(end=request.End(
      size_bytes=len(file) if size is None else size,
      sha256=sha256 or hashlib.sha256(file).hexdigest()))


def import_model(file, **fields):
  return lambda service: service.models.ImportModel(
      model_stream(file(service) if callable(file) else file, **fields))


def safetensors(header_text, data=b""):
  head = header_text if isinstance(header_text, bytes) else (
      json.dumps(header_text).encode())
  return struct.pack("<Q", len(head)) + head + data


def tiny_with(change):
  """The tiny model's file after change(header, data)."""

  def make(service):
    file = service.tiny
    size = struct.unpack("<Q", file[:8])[0]
    head = json.loads(file[8:8 + size])
    data = bytearray(file[8 + size:])
    change(head, data)
    return safetensors(head, bytes(data))
  return make


def set_nan(head, data):
  begin = head["visual.proj"]["data_offsets"][0]
  data[begin:begin + 4] = struct.pack("<f", float("nan"))


def rename(head, data):
  head["visual.other"] = head.pop("visual.proj")


def reshape(head, data):
  head["visual.proj"]["shape"].reverse()
  head["visual.proj"]["shape"][0] += 1
  head["visual.proj"]["shape"][1] -= 1


def overlap(head, data):
  head["visual.proj"]["data_offsets"] = list(
      head["visual.ln_pre.weight"]["data_offsets"])


def hole(head, data):
  for tensor in head.values():
    if "data_offsets" in tensor and tensor["data_offsets"][0] > 0:
      tensor["data_offsets"] = [x + 8 for x in tensor["data_offsets"]]
  data.extend(b"\0" * 8)


def overflow(head, data):
  head["visual.proj"]["data_offsets"] = [0, 1 << 63]


def unknown_type(head, data):
  head["visual.proj"]["dtype"] = "Q4"


def classify(**fields):
  request = dict(version="base", images=[hostile_images.GOOD],
                 labels=["dog", "cat"])
  request.update(fields)
  return lambda service: service.inference.ClassifyImages(
      inf.ClassifyImagesRequest(**request))


def on(stub, method, request):
  return lambda service: getattr(getattr(service, stub), method)(request)


def upload_of(messages):
  return lambda service: service.datasets.UploadExamples(iter(messages))


STREAM = delimited(pair())

# name: (call, code, reason)
CASES = {
    "chunk_more_than_1_mib": (
        upload_of([header(), ds.UploadExamplesRequest(
            chunk=b"x" * ((1 << 20) + 1))]), INVALID, "MALFORMED_STREAM"),
    "first_message_not_the_header": (
        upload_of([*chunks(STREAM), end(STREAM)]), INVALID,
        "MALFORMED_STREAM"),
    "header_twice": (
        upload_of([header(), header(), *chunks(STREAM), end(STREAM)]), INVALID,
        "MALFORMED_STREAM"),
    "stream_without_a_message": (upload_of([]), INVALID, "MALFORMED_STREAM"),
    "stream_without_data": (
        upload_of([header(), end(b"")]), INVALID, "MALFORMED_STREAM"),
    "stream_after_its_end": (
        upload_of([header(), *chunks(STREAM), end(STREAM), *chunks(STREAM)]),
        INVALID, "MALFORMED_STREAM"),
    "stream_of_something_else": (
        upload_of([header(), *chunks(b"\x05hello"), end(b"\x05hello")]),
        INVALID, "MALFORMED_STREAM"),
    "message_of_more_than_41_mib": (
        upload_of([header(), *chunks(b"\xff\xff\xff\x7f" + b"x" * 100)]),
        INVALID, "MESSAGE_TOO_LARGE"),
    "upload_of_another_digest": (
        upload_of([header(), *chunks(STREAM), end(STREAM, sha256="0" * 64)]),
        DATA_LOSS, "DIGEST_MISMATCH"),
    "upload_of_another_size": (
        upload_of([header(), *chunks(STREAM), end(STREAM,
                                                  size=len(STREAM) + 1)]),
        DATA_LOSS, "DIGEST_MISMATCH"),
    "upload_with_one_bad_row_among_good_ones": (
        lambda s: upload(s, pair(), pair(image=b"GIF89a"), pair()), INVALID,
        "INVALID_EXAMPLES"),
    "preferred_equal_to_rejected": (
        lambda s: upload(s, pair("a dog", "a dog")), INVALID,
        "INVALID_EXAMPLES"),
    "pair_without_a_side": (
        lambda s: upload(s, pair("a dog", "")), INVALID, "INVALID_EXAMPLES"),
    "example_of_no_kind": (
        lambda s: upload(s, ds.Example(image=hostile_images.GOOD)), INVALID,
        "INVALID_EXAMPLES"),
    "text_not_among_the_named_candidates": (
        lambda s: upload(s, pair("a bird", "a cat"), dataset="named"), INVALID,
        "INVALID_EXAMPLES"),
    "append_to_a_sealed_dataset": (
        lambda s: upload(s, pair(), dataset="sealed"), PRECONDITION,
        "DATASET_SEALED"),
    "upload_to_an_unknown_dataset": (
        lambda s: upload(s, pair(), dataset="none"), NOT_FOUND, "NOT_FOUND"),
    "job_on_an_empty_dataset": (
        submit(dataset="empty"), PRECONDITION, "EMPTY_DATASET"),
    "seal_of_an_empty_dataset": (
        lambda s: s.datasets.SealDataset(ds.SealDatasetRequest(
            name="empty", request_id=new_id())), PRECONDITION,
        "EMPTY_DATASET"),
    "job_on_an_unsealed_dataset": (
        submit(dataset="open"), PRECONDITION, "DATASET_NOT_SEALED"),

    "unknown_dataset": (on("datasets", "GetDataset", ds.GetDatasetRequest(
        name="none")), NOT_FOUND, "NOT_FOUND"),
    "unknown_model": (on("models", "GetModel", ms.GetModelRequest(
        name="none")), NOT_FOUND, "NOT_FOUND"),
    "unknown_version": (on("models", "GetVersion", ms.GetVersionRequest(
        version="base:9")), NOT_FOUND, "NOT_FOUND"),
    "unknown_alias": (on("models", "GetVersion", ms.GetVersionRequest(
        version="base@none")), NOT_FOUND, "NOT_FOUND"),
    "unknown_job": (on("jobs", "GetJob", js.GetJobRequest(
        id="job-000000000000")), NOT_FOUND, "NOT_FOUND"),
    "job_on_an_unknown_dataset": (
        submit(dataset="none"), NOT_FOUND, "NOT_FOUND"),
    "job_from_an_unknown_model": (submit(base="none"), NOT_FOUND, "NOT_FOUND"),
    "selector_of_nonsense": (on("models", "GetVersion", ms.GetVersionRequest(
        version="base:one")), INVALID, "INVALID_SELECTOR"),

    "batch_size_0": (submit(batch_size=0), INVALID, "INVALID_FIELD"),
    "batch_size_1e9": (submit(batch_size=10**9), INVALID, "INVALID_FIELD"),
    "batch_size_past_the_limit": (
        submit(batch_size=65_537), INVALID, "INVALID_FIELD"),
    "epochs_past_the_limit": (
        submit(steps=None, epochs=10_001), INVALID, "INVALID_FIELD"),
    "steps_past_the_limit": (
        submit(steps=10_000_001), INVALID, "INVALID_FIELD"),
    "epochs_and_steps_both_0": (
        submit(epochs=0, steps=0), INVALID, "INVALID_FIELD"),
    "label_smoothing_of_one_half": (
        objective(label_smoothing=0.5), INVALID, "INVALID_FIELD"),
    "label_smoothing_below_0": (
        objective(label_smoothing=-0.1), INVALID, "INVALID_FIELD"),
    "warm_up_below_0": (
        optimizer(warmup_ratio=-0.1), INVALID, "INVALID_FIELD"),
    "warm_up_of_1": (optimizer(warmup_ratio=1), INVALID, "INVALID_FIELD"),
    "weight_decay_below_0": (
        optimizer(weight_decay=-1), INVALID, "INVALID_FIELD"),
    "kl_weight_below_0": (objective(kl_weight=-1), INVALID, "INVALID_FIELD"),
    "micro_batch_of_infonce": (
        submit(dpo=None, infonce=js.InfoNceObjective(), micro_batch_size=2),
        INVALID, "INVALID_FIELD"),
    "no_objective": (submit(dpo=None), INVALID, "INVALID_FIELD"),
    "no_spec": (lambda s: s.jobs.CreateJob(js.CreateJobRequest(
        request_id=new_id())), INVALID, "INVALID_FIELD"),
    "kl_weight_without_clean_examples": (
        objective(kl_weight=1), PRECONDITION, "NO_CLEAN_EXAMPLES"),
    "text_longer_than_the_context_in_a_job": (
        submit(dataset="long"), INVALID, "TEXT_TOO_LONG"),
    "text_longer_than_the_context_in_a_call": (
        lambda s: s.inference.EmbedTexts(inf.EmbedTextsRequest(
            version="base", texts=["a dog", LONG_TEXT])), INVALID,
        "TEXT_TOO_LONG"),

    "request_id_no_uuid": (
        lambda s: s.datasets.CreateDataset(ds.CreateDatasetRequest(
            name="new", request_id="1234")), INVALID, "INVALID_REQUEST_ID"),
    "request_id_of_another_request": (
        lambda s: s.datasets.CreateDataset(ds.CreateDatasetRequest(
            name="new", request_id=s.used_id)), ALREADY_EXISTS,
        "REQUEST_ID_REUSED"),
    "name_that_is_taken": (
        lambda s: s.datasets.CreateDataset(ds.CreateDatasetRequest(
            name="open", request_id=new_id())), ALREADY_EXISTS,
        "ALREADY_EXISTS"),

    "page_size_below_0": (on("jobs", "ListJobs", js.ListJobsRequest(
        page_size=-1)), INVALID, "INVALID_FIELD"),
    "forged_page_token": (on("jobs", "ListJobs", js.ListJobsRequest(
        page_token="forged")), INVALID, "INVALID_PAGE_TOKEN"),
    "page_token_of_another_list": (
        lambda s: s.jobs.ListJobs(js.ListJobsRequest(
            page_token=s.models.ListModels(ms.ListModelsRequest(
                page_size=1)).next_page_token)), INVALID,
        "INVALID_PAGE_TOKEN"),
    "forged_cursor": (
        lambda s: next(s.jobs.WatchJob(js.WatchJobRequest(
            id=s.done_job, cursor="forged"))), INVALID, "INVALID_CURSOR"),
    "cancel_of_a_finished_job": (
        lambda s: s.jobs.CancelJob(js.CancelJobRequest(
            id=s.done_job, request_id=new_id())), PRECONDITION, "JOB_ENDED"),

    "safetensors_header_too_long": (
        import_model(struct.pack("<Q", 1 << 40) + b"{}"), INVALID,
        "NOT_SAFETENSORS"),
    "safetensors_header_past_the_file": (
        import_model(struct.pack("<Q", 100) + b"{}"), INVALID,
        "INVALID_SAFETENSORS"),
    "safetensors_header_not_json": (
        import_model(safetensors(b"{not json")), INVALID,
        "INVALID_SAFETENSORS"),
    "safetensors_overlap": (
        import_model(tiny_with(overlap)), INVALID, "INVALID_SAFETENSORS"),
    "safetensors_hole": (
        import_model(tiny_with(hole)), INVALID, "INVALID_SAFETENSORS"),
    "safetensors_overflow": (
        import_model(tiny_with(overflow)), INVALID, "INVALID_SAFETENSORS"),
    "safetensors_unknown_type": (
        import_model(tiny_with(unknown_type)), INVALID,
        "INVALID_SAFETENSORS"),
    "safetensors_wrong_name": (
        import_model(tiny_with(rename)), INVALID, "INVALID_CLIP"),
    "safetensors_wrong_shape": (
        import_model(tiny_with(reshape)), INVALID, "INVALID_SAFETENSORS"),
    "safetensors_nan": (
        import_model(tiny_with(set_nan)), INVALID, "NON_FINITE_WEIGHTS"),
    "safetensors_cut_off": (
        import_model(lambda s: s.tiny[:-1000]), INVALID,
        "INVALID_SAFETENSORS"),
    "safetensors_of_another_digest": (
        import_model(lambda s: s.tiny, sha256="0" * 64), DATA_LOSS,
        "DIGEST_MISMATCH"),
    "pickle": (import_model(b"\x80\x02}q\x00." + b"\0" * 100), INVALID,
               "NOT_SAFETENSORS"),
    "zip_or_pt": (import_model(b"PK\x03\x04" + b"\0" * 100), INVALID,
                  "NOT_SAFETENSORS"),
    "empty_model": (import_model(b""), INVALID, "MALFORMED_STREAM"),
    "model_chunk_more_than_1_mib": (
        import_model(lambda s: s.tiny, step=(1 << 20) + 1), INVALID,
        "MALFORMED_STREAM"),

    "no_labels": (classify(labels=[]), INVALID, "INVALID_LABELS"),
    "10001_labels": (
        classify(labels=[f"l{i}" for i in range(10_001)]), INVALID,
        "INVALID_LABELS"),
    "duplicate_labels": (classify(labels=["dog", "cat", "dog"]), INVALID,
                         "INVALID_LABELS"),
    "template_without_its_placeholder": (
        classify(templates=["a photo"]), INVALID, "INVALID_TEMPLATES"),
    "template_with_two_placeholders": (
        classify(templates=["{} and {}"]), INVALID, "INVALID_TEMPLATES"),
    "257_templates": (
        classify(templates=[f"{i} {{}}" for i in range(257)]), INVALID,
        "INVALID_TEMPLATES"),
    "no_images": (classify(images=[]), INVALID, "INVALID_FIELD"),
    "257_images": (classify(images=[b"x"] * 257), INVALID, "INVALID_FIELD"),
    "classify_by_an_unknown_model": (
        classify(version="none"), NOT_FOUND, "NOT_FOUND"),
    "unary_request_of_more_than_4_mib": (
        lambda s: s.datasets.CreateDataset(ds.CreateDatasetRequest(
            name="new", request_id=new_id(),
            candidates=["x" * 8000 + str(i) for i in range(530)])), EXHAUSTED,
        "MESSAGE_TOO_LARGE"),

    "worker_without_an_id": (
        on("worker_stub", "Register", ws.RegisterRequest()), INVALID,
        "INVALID_FIELD"),
    "lease_of_nobody": (on("worker_stub", "LeaseTask", ws.LeaseTaskRequest(
        worker_id="nobody")), NOT_FOUND, "WORKER_UNKNOWN"),
    "checkpoint_without_a_lease": (
        on("worker_stub", "CommitCheckpoint", ws.CommitCheckpointRequest(
            lease_token="forged")), grpc.StatusCode.ABORTED, "LEASE_LOST"),
    "completion_without_a_lease": (
        on("worker_stub", "CompleteTask", ws.CompleteTaskRequest(
            lease_token="job-000000000000.1.00", validate=ws.ValidateResult())),
        grpc.StatusCode.ABORTED, "LEASE_LOST"),
    "failure_without_a_lease": (
        on("worker_stub", "FailTask", ws.FailTaskRequest(
            lease_token="", kind=ws.FailTaskRequest.KIND_RETRYABLE)),
        grpc.StatusCode.ABORTED, "LEASE_LOST"),
    "blobs_without_a_lease": (
        lambda s: s.worker_stub.PutBlobs(iter([ws.PutBlobsRequest(
            lease_token="forged", digest="0" * 64, size_bytes=1,
            chunk=b"x")])), grpc.StatusCode.ABORTED, "LEASE_LOST"),
    "blob_that_is_no_digest": (
        lambda s: next(s.worker_stub.GetBlobs(ws.GetBlobsRequest(
            digests=["../x"]))), INVALID, "INVALID_FIELD"),
    "10001_blobs": (
        lambda s: next(s.worker_stub.GetBlobs(ws.GetBlobsRequest(
            digests=["0" * 64] * 10_001))), INVALID, "INVALID_FIELD"),
    "serve_without_hello": (
        lambda s: list(s.worker_stub.Serve(iter([ws.ServeRequest()]))), INVALID,
        "MALFORMED_STREAM"),
}
for field in ("learning_rate",):
  for name, value in {"nan": float("nan"), "inf": float("inf"), "0": 0,
                      "negative": -1.0}.items():
    CASES[f"{field}_{name}"] = (optimizer(**{field: value}), INVALID,
                                "INVALID_FIELD")
for name, value in {"nan": float("nan"), "inf": float("inf"), "0": 0,
                    "negative": -1.0}.items():
  CASES[f"beta_{name}"] = (objective(beta=value), INVALID, "INVALID_FIELD")
for field in ("kl_weight", "label_smoothing"):
  CASES[f"{field}_nan"] = (objective(**{field: float("nan")}), INVALID,
                           "INVALID_FIELD")
for field in ("weight_decay", "warmup_ratio"):
  CASES[f"{field}_nan"] = (optimizer(**{field: float("nan")}), INVALID,
                           "INVALID_FIELD")
for name, file in hostile_images.REFUSED.items():
  CASES[f"image_{name}"] = (
      lambda s, file=file: upload(s, pair(image=file)), INVALID,
      "INVALID_EXAMPLES")
for name, text in TEXTS.items():
  CASES[f"text_{name}"] = (
      lambda s, text=text: upload(s, pair(preferred=text)), INVALID,
      "INVALID_EXAMPLES")
  CASES[f"candidate_{name}"] = (
      lambda s, text=text: s.datasets.CreateDataset(ds.CreateDatasetRequest(
          name="new", candidates=["a dog", text], request_id=new_id())),
      INVALID, "INVALID_TEXT")
for name, value in NAMES.items():
  CASES[f"dataset_name_{name}"] = (
      lambda s, value=value: s.datasets.CreateDataset(ds.CreateDatasetRequest(
          name=value, request_id=new_id())), INVALID, "INVALID_NAME")
  CASES[f"model_name_{name}"] = (
      lambda s, value=value: s.models.ImportModel(
          model_stream(s.tiny, model=value)), INVALID, "INVALID_NAME")
  CASES[f"output_name_{name}"] = (
      submit(output_model=value), INVALID, "INVALID_FIELD")
  if value:
    CASES[f"alias_name_{name}"] = (
        lambda s, value=value: s.models.SetAlias(ms.SetAliasRequest(
            model="base", alias=value, version=1, request_id=new_id())),
        INVALID, "INVALID_NAME")
