"""What a client of the public API sends, made by hand, and what it reads of
the answers. conftest has made the stubs."""

import hashlib
import re
import urllib.request
import uuid

import hostile_images

from attune.v1 import dataset_service_pb2 as ds


def new_id():
  return str(uuid.uuid4())


def pair(preferred="a photo of a dog.", rejected="a photo of a cat.",
         image=hostile_images.GOOD, **more):
  return ds.Example(image=image, pair=ds.Example.Pair(
      preferred=preferred, rejected=rejected, **more))


def delimited(message):
  data = message.SerializeToString()
  size = len(data)
  prefix = bytearray()
  while size > 127:
    prefix.append(size & 127 | 128)
    size >>= 7
  prefix.append(size)
  return bytes(prefix) + data


def header(dataset="open"):
  return ds.UploadExamplesRequest(header=ds.UploadExamplesRequest.Header(
      dataset=dataset, request_id=new_id()))


def end(stream, size=None, sha256=None):
  return ds.UploadExamplesRequest(end=ds.UploadExamplesRequest.End(
      size_bytes=len(stream) if size is None else size,
      sha256=sha256 or hashlib.sha256(stream).hexdigest()))


def chunks(stream, size=1 << 20):
  return [ds.UploadExamplesRequest(chunk=stream[i:i + size])
          for i in range(0, len(stream), size)]


def upload(service, *examples, dataset="open"):
  stream = b"".join(map(delimited, examples))
  return service.datasets.UploadExamples(iter(
      [header(dataset), *chunks(stream), end(stream)]))


def reason_of(error):
  """The reason in the error's google.rpc.ErrorInfo, by its place on the wire:
  field 1, right before field 2, the domain."""
  details = dict(error.trailing_metadata()).get("grpc-status-details-bin", b"")
  at = details.find(b"\x12\x06attune")
  begin = details.rfind(b"\x0a", 0, at)
  while begin >= 0 and begin + 2 + details[begin + 1] != at:
    begin = details.rfind(b"\x0a", 0, begin)
  return details[begin + 2:at].decode() if at >= 0 and begin >= 0 else ""


def queue_depth(service):
  with urllib.request.urlopen(f"http://{service.metrics}/metrics") as answer:
    return float(re.search(r"^attune_inference_queue_depth (\S+)$",
                           answer.read().decode(), re.MULTILINE)[1])
