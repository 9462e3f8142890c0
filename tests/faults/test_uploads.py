"""A client is gone in the middle of an upload, and perhaps comes back."""

import hashlib
import json
import subprocess
import threading
import uuid

import grpc
from google.protobuf.internal.encoder import _VarintBytes
import pytest

import pictures
from attune.v1 import dataset_service_pb2 as pb
from attune.v1 import dataset_service_pb2_grpc as rpc
from conftest import BINARIES, wait_until
from proxy import Proxy

PICTURES = 48
# 390 KB each, and nothing of it gets smaller on the way.
SIDE = 360
CHUNK = 64 << 10
SHARES = [0.25, 0.5, 0.99]


@pytest.fixture(scope="module")
def images():
  return [pictures.noise(seed, SIDE) for seed in range(PICTURES)]


@pytest.fixture
def proxied(faults):
  """The service behind a proxy, for the client alone."""
  faults.proxy = Proxy(faults.address)
  faults.run("dataset", "create", "noise")
  yield faults
  faults.proxy.close()


def stream_of(images):
  """The bytes of an upload."""
  parts = []
  for image in images:
    example = pb.Example(image=image, clean=pb.Example.Clean())
    body = example.SerializeToString()
    parts += [_VarintBytes(len(body)), body]
  return b"".join(parts)


def upload(stub, request_id, stream, offset=0, stop_at=None, gone=None):
  """The call; with `stop_at` nothing follows that byte until `gone`."""

  def requests():
    yield pb.UploadExamplesRequest(header=pb.UploadExamplesRequest.Header(
        dataset="noise", request_id=request_id, offset=offset))
    for at in range(offset, stop_at or len(stream), CHUNK):
      yield pb.UploadExamplesRequest(
          chunk=stream[at:min(at + CHUNK, stop_at or len(stream))])
    if gone:
      gone.wait(120)
      return
    yield pb.UploadExamplesRequest(end=pb.UploadExamplesRequest.End(
        size_bytes=len(stream), sha256=hashlib.sha256(stream).hexdigest()))

  return stub.UploadExamples.future(requests(), timeout=120)


def digests(stub):
  """Of the dataset's pictures, in their order."""
  return [example.image_digest for example in stub.ListExamples(
      pb.ListExamplesRequest(dataset="noise")).examples]


@pytest.mark.parametrize("share", SHARES)
def test_a_client_that_comes_back_sends_the_rest(proxied, images, share):
  stream = stream_of(images)
  request_id = str(uuid.uuid4())
  stop_at = int(share * len(stream))
  gone = threading.Event()
  call = upload(rpc.DatasetServiceStub(proxied.channel(proxied.proxy.address)),
                request_id, stream, stop_at=stop_at, gone=gone)
  wait_until(lambda: proxied.proxy.sent >= stop_at, f"{stop_at} bytes")
  proxied.proxy.break_connections()
  assert call.exception(timeout=60).code() == grpc.StatusCode.UNAVAILABLE
  gone.set()

  stub = rpc.DatasetServiceStub(proxied.channel())
  assert digests(stub) == []
  find = pb.GetUploadRequest(dataset="noise", request_id=request_id)
  # The server keeps what it has when it notices.
  kept = wait_until(lambda: stub.GetUpload(find).offset, "what is kept")
  assert kept <= stop_at
  # Little more than what was under way is sent again.
  assert stop_at - kept < len(stream) / 4
  assert upload(stub, request_id, stream, kept).result().added_count == PICTURES
  expected = [hashlib.sha256(image).hexdigest() for image in images]
  assert digests(stub) == expected
  # Late copies of either call add nothing.
  assert upload(stub, request_id, stream).result().added_count == PICTURES
  assert stub.GetUpload(find).committed
  assert digests(stub) == expected


@pytest.mark.parametrize("share", SHARES)
def test_a_client_that_does_not_come_back_leaves_nothing_half(proxied, images,
                                                              share):
  """The command is killed; another one adds everything once."""
  folder = proxied.folder / "noise"
  folder.mkdir()
  rows = []
  for number, image in enumerate(images):
    (folder / f"{number}.png").write_bytes(image)
    rows.append(json.dumps({"image": f"{number}.png"}) + "\n")
  (folder / "examples.jsonl").write_text("".join(rows))
  proxied.proxy.stop_at = int(share * sum(map(len, images)))
  proxied.proxy.then_hold = True
  command = subprocess.Popen(
      [BINARIES / "attune", "--server", proxied.proxy.address, "dataset",
       "upload", "noise", folder / "examples.jsonl"],
      stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
  wait_until(lambda: proxied.proxy.mode == "hold", "the last byte")
  command.kill()
  command.wait(10)
  proxied.proxy.mode = "cut"
  stub = rpc.DatasetServiceStub(proxied.channel())
  assert digests(stub) == []
  proxied.run("dataset", "upload", "noise", folder / "examples.jsonl")
  assert digests(stub) == [hashlib.sha256(image).hexdigest()
                           for image in images]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("what", ["examples", "model"])
def test_the_command_goes_on_through_a_cut(proxied, images, what, share):
  folder = proxied.folder / "noise"
  folder.mkdir()
  if what == "examples":
    for number, image in enumerate(images):
      (folder / f"{number}.png").write_bytes(image)
    rows = [json.dumps({"image": f"{n}.png"}) + "\n" for n in range(PICTURES)]
    (folder / "examples.jsonl").write_text("".join(rows))
    size = sum(map(len, images))
    command = ("dataset", "upload", "noise", folder / "examples.jsonl")
  else:
    path = proxied.folder / "base.safetensors"
    size = path.stat().st_size
    command = ("model", "import", "again", path)
  proxied.proxy.stop_at = int(share * size)
  address, proxied.address = proxied.address, proxied.proxy.address
  proxied.run(*command)
  proxied.address = address
  assert proxied.proxy.stop_at is None, "nothing was cut"
  if what == "examples":
    stub = rpc.DatasetServiceStub(proxied.channel())
    assert digests(stub) == [hashlib.sha256(image).hexdigest()
                             for image in images]
  else:
    versions = proxied.json("model", "show", "again")["versions"]
    [base] = proxied.json("model", "show", "base")["versions"]
    assert [v["digest"] for v in versions] == [base["digest"]]


def test_sixty_four_clients_upload_at_once(faults, images):
  faults.run("dataset", "create", "noise")
  address = faults.address
  calls = []
  for number in range(64):
    # A connection each.
    channel = grpc.insecure_channel(address, options=[
        ("grpc.use_local_subchannel_pool", 1), ("test.number", number)])
    calls.append((channel, upload(
        rpc.DatasetServiceStub(channel), str(uuid.uuid4()),
        stream_of([images[number % PICTURES], pictures.blob(number)]))))
  for channel, call in calls:
    assert call.result().added_count == 2
    channel.close()
  found = digests(rpc.DatasetServiceStub(faults.channel()))
  assert sorted(found) == sorted(
      hashlib.sha256(image).hexdigest() for number in range(64)
      for image in (images[number % PICTURES], pictures.blob(number)))
