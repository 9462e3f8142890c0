"""Every limit of the table in docs/operations.md, at it and one past it. The
numbers are read from the table, so that it cannot say anything else than the
server does."""

import contextlib
import hashlib
import re
import threading
import uuid

import grpc
import pytest

import hostile_images
from api_calls import (chunks, delimited, end, header, new_id, pair,
                       queue_depth, reason_of, upload)
from conftest import ROOT, Attune, wait_until

from attune.v1 import (dataset_service_pb2 as ds, dataset_service_pb2_grpc,
                       inference_service_pb2 as inf,
                       inference_service_pb2_grpc, job_service_pb2 as js,
                       job_service_pb2_grpc, model_service_pb2_grpc, types_pb2,
                       worker_service_pb2 as ws, worker_service_pb2_grpc)
from google.protobuf import duration_pb2


def read_table():
  """Row name to (number, flag, code, reason)."""
  text = (ROOT / "docs/operations.md").read_text()
  rows = {}
  for line in text[text.index("## Limits"):].splitlines():
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    if len(cells) != 4 or not re.fullmatch(r"[\d,]+", cells[1]):
      continue
    code, _, reason = cells[3].partition(", ")
    rows[cells[0]] = (int(cells[1].replace(",", "")), cells[2].strip("`"),
                      code.split()[0], reason.strip("`"))
  return rows


TABLE = read_table()


def create(service, candidates):
  return service.datasets.CreateDataset(ds.CreateDatasetRequest(
      name=f"d-{uuid.uuid4().hex}", candidates=candidates,
      request_id=new_id()))


def unary_of(service, size):
  """CreateJob in `size` bytes: an unknown model's name fills it up."""
  request = js.CreateJobRequest(request_id=new_id(), train=js.TrainSpec(
      dataset="none", base="none", output_model="x", steps=1,
      dpo=js.DpoObjective()))
  request.train.eval_dataset = "x" * (size - request.ByteSize() - 20)
  while request.ByteSize() < size:
    request.train.eval_dataset += "x" * (size - request.ByteSize())
  assert request.ByteSize() == size
  service.jobs.CreateJob(request)


def inference_of(service, size):
  request = inf.EmbedImagesRequest(version="none", images=[b""])
  request.images[0] = b"x" * (size - request.ByteSize() - 8)
  while request.ByteSize() < size:
    request.images[0] += b"x" * (size - request.ByteSize())
  assert request.ByteSize() == size
  service.inference.EmbedImages(request)


def chunk_of(service, size):
  stream = delimited(pair(image=hostile_images.png(
      8, 8, data=b"x" * 2 * size)))
  service.datasets.UploadExamples(iter(
      [header(), *chunks(stream, size), end(stream)]))


def example_of(service, size):
  """Two files of junk, which are refused for that, if they are read."""
  example = pair(image=b"x" * (size // 2), clean_image=b"")
  example.pair.clean_image = b"x" * (size - example.ByteSize() - 16)
  while example.ByteSize() < size:
    example.pair.clean_image += b"x" * (size - example.ByteSize())
  assert example.ByteSize() == size
  upload(service, example)


def image_file(make):
  return lambda service, number: upload(service, pair(image=make(number)))


def png_file_of(size):
  empty = len(hostile_images.png(8, 8, data=b""))
  return hostile_images.png(8, 8, data=b"x" * (size - empty))


def attributes(values):
  example = pair()
  example.attributes.update(values)
  return example


def job(**fields):
  spec = dict(dataset="none", base="none", output_model="x",
              dpo=js.DpoObjective())

  def probe(service, number):
    values = {name: number for name in fields}
    if "epochs" not in fields and "steps" not in fields:
      values["steps"] = 1
    service.jobs.CreateJob(js.CreateJobRequest(
        request_id=new_id(), train=js.TrainSpec(**spec, **values)))
  return probe


def classify(service, images=1, labels=2, templates=1):
  service.inference.ClassifyImages(inf.ClassifyImagesRequest(
      version="base", images=[hostile_images.GOOD] * images,
      labels=[f"l{i}" for i in range(labels)],
      templates=[f"{i} {{}}" for i in range(templates)]), timeout=60)


# Row of the table to a call with that number. Past the limit it is refused as
# the table says; at the limit it is not, though it may fail of something else.
PROBES = {
    "bytes of a unary request but inference": unary_of,
    "bytes of an inference request": inference_of,
    "bytes of a chunk of a stream": chunk_of,
    "bytes of an example": example_of,
    "bytes of a picture": image_file(png_file_of),
    "pixels of a picture's side": image_file(
        lambda n: hostile_images.png(n, 8)),
    # 50,000,000 = 10,000 · 5,000; one more row is 10,000 pixels more.
    "pixels of a picture": image_file(
        lambda n: hostile_images.png(10_000, -(-n // 10_000))),
    "scans of a JPEG": image_file(hostile_images.jpeg),
    "bytes of a PNG chunk without pixels": image_file(
        lambda n: hostile_images.png(8, 8, extra=hostile_images.png_chunk(
            b"tEXt", b"c\0" + b"x" * (n - 2)))),
    "characters of a name": lambda s, n: s.datasets.CreateDataset(
        ds.CreateDatasetRequest(name=(uuid.uuid4().hex * 3)[:n],
                                request_id=new_id())),
    "bytes of a text": lambda s, n: upload(s, pair("x" * n)),
    "attributes of an example": lambda s, n: upload(s, attributes(
        {f"a{i}": "v" for i in range(n)})),
    "bytes of an attribute with its name": lambda s, n: upload(s, attributes(
        {"name": "v" * (n - 4)})),
    "candidates of a dataset": lambda s, n: create(
        s, [f"c{i}" for i in range(n)]),
    "images of a call": lambda s, n: classify(s, images=n),
    "texts of a call": lambda s, n: s.inference.EmbedTexts(
        inf.EmbedTextsRequest(version="base",
                              texts=[f"t{i}" for i in range(n)]), timeout=60),
    "labels of a call": lambda s, n: classify(s, labels=n),
    "templates of a call": lambda s, n: classify(s, templates=n),
    "epochs of a job": job(epochs=0),
    "steps of a job": job(steps=0),
    "examples of a job's batch": job(batch_size=0),
    "blobs of a worker's request": lambda s, n: s.worker_stub.FindMissingBlobs(
        ws.FindMissingBlobsRequest(digests=["0" * 64] * n)),
    "characters of a worker's id": lambda s, n: s.worker_stub.Register(
        ws.RegisterRequest(worker_id="w" * n, roles=[ws.WORKER_ROLE_TRAIN],
                           device=types_pb2.WorkerDevice(kind="cpu"))),
    "seconds of a wait for a task": lambda s, n: s.worker_stub.LeaseTask(
        ws.LeaseTaskRequest(worker_id="nobody",
                            wait=duration_pb2.Duration(seconds=n))),
}


def stubs(service, channel):
  service.datasets = dataset_service_pb2_grpc.DatasetServiceStub(channel)
  service.jobs = job_service_pb2_grpc.JobServiceStub(channel)
  service.models = model_service_pb2_grpc.ModelServiceStub(channel)
  service.inference = inference_service_pb2_grpc.InferenceServiceStub(channel)
  service.worker_stub = worker_service_pb2_grpc.WorkerServiceStub(channel)


@contextlib.contextmanager
def running(folder, *flags, no_worker_wait=0.1):
  service = Attune(folder)
  try:
    service.start_server("--no-worker-wait", no_worker_wait, *flags)
    with service.channel() as channel:
      stubs(service, channel)
      service.run("dataset", "create", "open")
      yield service
  finally:
    service.stop()


@pytest.fixture(scope="module")
def service(tmp_path_factory):
  with running(tmp_path_factory.mktemp("limits")) as service:
    service.make_tiny_model("base")
    yield service


def outcome(call):
  """(code's name, reason, message) of a call; OK when it does not fail."""
  try:
    call()
  except grpc.RpcError as error:
    return error.code().name, reason_of(error), error.details()
  return "OK", "", ""


@pytest.mark.parametrize("row", PROBES)
def test_at_the_limit_it_is_taken_and_past_it_refused(service, row):
  number, _, code, reason = TABLE[row]
  # The reason of a whole upload does not tell which row it is about: what is
  # wrong with the two must differ.
  at_code, at_reason, at_message = outcome(
      lambda: PROBES[row](service, number))
  past_code, past_reason, past_message = outcome(
      lambda: PROBES[row](service, number + 1))
  assert (past_code, past_reason.replace("by gRPC", "")) == (
      code, reason), past_message
  assert (at_code, at_reason, at_message) != (past_code, past_reason,
                                              past_message)
  if row not in ("bytes of an example",):
    assert (at_code, at_reason) != (code, reason), at_message


class Stream:
  """A stream that stays open until close()."""

  def __init__(self, begin):
    self.closed = threading.Event()
    self.call = begin(self)

  def messages(self, first):
    yield first
    self.closed.wait(60)

  def close(self):
    self.closed.set()
    self.call.cancel()


def open_upload(service):
  return Stream(lambda stream: service.datasets.UploadExamples.future(
      stream.messages(header())))


def refused(call):
  return outcome(call)[:2] == ("RESOURCE_EXHAUSTED", "TOO_MANY_STREAMS")


def retry_delay_of(call):
  try:
    call()
  except grpc.RpcError as error:
    details = dict(error.trailing_metadata())["grpc-status-details-bin"]
    return b"google.rpc.RetryInfo" in details
  return False


def test_uploads_at_a_time_have_a_limit(tmp_path):
  number = TABLE["uploads and imports at a time"][0]
  with running(tmp_path) as service:
    streams = [open_upload(service) for _ in range(number)]
    try:
      def one_more():
        upload(service, pair())

      def full():
        # One more may have taken the place of a stream that came later.
        for i, stream in enumerate(streams):
          if stream.call.done():
            streams[i] = open_upload(service)
        return refused(one_more)
      wait_until(full, "the limit", seconds=30)
      assert retry_delay_of(one_more)
      streams.pop().close()
      wait_until(lambda: outcome(one_more)[0] == "OK", "a free slot",
                 seconds=30)
    finally:
      for stream in streams:
        stream.close()


def test_watches_at_a_time_have_a_limit(tmp_path):
  """With another number than the default, which the flag sets."""
  with running(tmp_path, "--max-watches", "3") as service:
    assert TABLE["watched jobs at a time"][1] == "--max-watches"
    service.make_tiny_model("base")
    upload(service, *(pair("a dog", f"a cat {i}") for i in range(4)))
    worker = service.start_worker()
    service.run("dataset", "seal", "open")
    # The job stays in the queue, so that its watches stay open.
    worker.kill()
    job_id = service.json(
        "job", "submit", "--dataset", "open", "--model", "base",
        "--output-model", "x", "--steps", "1", "--batch-size", "4",
        "--kl-weight", "0")["id"]
    watches = []
    for _ in range(3):
      watch = service.jobs.WatchJob(js.WatchJobRequest(id=job_id))
      next(watch)
      watches.append(watch)
    one_more = lambda: next(service.jobs.WatchJob(js.WatchJobRequest(
        id=job_id)))
    assert refused(one_more)
    watches[0].cancel()
    wait_until(lambda: outcome(one_more)[0] == "OK", "a free slot", seconds=30)
    for watch in watches:
      watch.cancel()


def test_downloads_at_a_time_have_a_limit(tmp_path):
  with running(tmp_path, "--max-downloads", "2") as service:
    assert TABLE["downloads and exports at a time"][1] == "--max-downloads"
    # More than gRPC buffers, so that a download nobody reads stays open.
    big = png_file_of(10 << 20)
    upload(service, pair(image=big), pair("a", "b", image=big[:-1] + b"x"))
    request = ds.DownloadExamplesRequest(dataset="open")
    downloads = [service.datasets.DownloadExamples(request) for _ in range(2)]
    for download in downloads:
      next(download)
    one_more = lambda: next(service.datasets.DownloadExamples(request))
    assert refused(one_more)
    for download in downloads:
      download.cancel()
    wait_until(lambda: outcome(one_more)[0] == "OK", "a free slot", seconds=30)


def test_a_download_of_large_pictures_is_what_was_uploaded(tmp_path):
  """Pictures of several pieces, as images and as clean ones."""
  with running(tmp_path) as service:
    examples = [
        pair(image=png_file_of(9 << 20), clean_image=png_file_of(5 << 20)),
        pair("a", "b", image=png_file_of(4 << 20)),
        ds.Example(image=png_file_of(1 << 20), clean=ds.Example.Clean()),
    ]
    examples[1].attributes["source"] = "test"
    upload(service, *examples)
    stream = b""
    for part in service.datasets.DownloadExamples(
        ds.DownloadExamplesRequest(dataset="open")):
      if part.HasField("chunk"):
        assert 0 < len(part.chunk) <= TABLE["bytes of a chunk of a stream"][0]
        stream += part.chunk
      else:
        assert part.end.size_bytes == len(stream)
        assert part.end.sha256 == hashlib.sha256(stream).hexdigest()
    # What was downloaded can be uploaded as it is.
    service.run("dataset", "create", "again")
    answer = service.datasets.UploadExamples(iter(
        [header("again"), *chunks(stream), end(stream)]))
    assert answer.added_count == len(examples)
    for name in ("open", "again"):
      rows = service.datasets.ListExamples(ds.ListExamplesRequest(
          dataset=name)).examples
      assert [row.image_digest for row in rows] == [
          hashlib.sha256(example.image).hexdigest() for example in examples]
      assert rows[0].pair.clean_image_digest == hashlib.sha256(
          examples[0].pair.clean_image).hexdigest()
      assert rows[1].attributes["source"] == "test"


def test_images_that_wait_have_a_limit(tmp_path):
  with running(tmp_path, "--max-queued-images", "8",
               no_worker_wait=60) as service:
    service.make_tiny_model("base")
    waiting = [service.inference.EmbedImages.future(inf.EmbedImagesRequest(
        version="base", images=[hostile_images.GOOD] * 4), timeout=30)
        for _ in range(2)]
    one_more = lambda: service.inference.EmbedImages(inf.EmbedImagesRequest(
        version="base", images=[hostile_images.GOOD]), timeout=1)
    # Sooner, one more could take the place of those that are to fill it.
    wait_until(lambda: queue_depth(service) == 8, "a full queue", seconds=20)
    assert outcome(one_more)[:2] == ("RESOURCE_EXHAUSTED", "QUEUE_FULL")
    assert retry_delay_of(one_more)
    for call in waiting:
      call.cancel()


def test_every_row_has_a_probe_and_every_probe_a_row():
  elsewhere = {"uploads and imports at a time", "watched jobs at a time",
               "downloads and exports at a time",
               "images that wait for a worker"}
  assert set(TABLE) == set(PROBES) | elsewhere


def test_flags_have_the_defaults_of_the_table(tmp_path):
  import subprocess
  from conftest import BINARIES
  text = subprocess.run([BINARIES / "attune-server", "--help"],
                        capture_output=True, text=True, check=True).stdout
  for number, flag, _, _ in TABLE.values():
    if flag:
      assert re.search(rf"{flag} \S+={number}\s", text), flag
