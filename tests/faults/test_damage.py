"""Bytes that changed on the disk are never given away as good."""

import sqlite3

import grpc

from attune.v1 import worker_service_pb2 as pb
from attune.v1 import worker_service_pb2_grpc as rpc
from test_process_faults import run_whole


def read(stub, digest):
  """The blob's bytes, or the code of the error."""
  try:
    return b"".join(message.chunk for message in stub.GetBlobs(
        pb.GetBlobsRequest(digests=[digest])))
  except grpc.RpcError as error:
    return error.code()


def test_every_flipped_bit_of_a_blob_is_found(faults, figures):
  """One bit at each of 200 offsets, and a truncated chunk."""
  stub = rpc.WorkerServiceStub(faults.channel())
  blobs = sqlite3.connect(faults.folder / "data" / "blobs.db", timeout=30)
  whole = blobs.execute(
      "SELECT b.digest, c.id, c.bytes FROM blobs b JOIN chunks c"
      " ON c.id >> 20 = b.id WHERE length(c.bytes) > 0").fetchall()
  found = 0
  for _ in range(200):
    digest, chunk, content = faults.random.choice(whole)
    damaged = bytearray(content)
    at = faults.random.randrange(len(damaged))
    damaged[at] ^= 1 << faults.random.randrange(8)
    with blobs:
      blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?",
                    (bytes(damaged), chunk))
    found += read(stub, digest) == grpc.StatusCode.DATA_LOSS
    with blobs:
      blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?",
                    (content, chunk))
  figures.set("flips_tried", 200)
  figures.set("flips_found", found)
  assert found == 200
  digest, chunk, content = whole[-1]
  with blobs:
    blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?",
                  (content[:-1], chunk))
  assert read(stub, digest) == grpc.StatusCode.DATA_LOSS
  with blobs:
    blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?", (content, chunk))
  blobs.close()
  assert read(stub, digest) == content


def test_a_damaged_checkpoint_costs_steps_and_no_bit(faults):
  """The newest checkpoint has a flipped bit: the one before is taken."""
  spec = {"steps": 120, "every": 10}
  first = faults.start_trainer()
  whole = run_whole(faults, "whole", **spec)
  job = faults.create(**spec)
  faults.wait_for_step(job, 60)
  faults.run("job", "pause", job)
  faults.wait_for(job, "PAUSED")
  state = sqlite3.connect(faults.folder / "data" / "state.db", timeout=30)
  newest, digest = state.execute(
      "SELECT c.step, t.blob_digest FROM checkpoints c"
      " JOIN jobs j ON j.sequence = c.job JOIN tensors t"
      " ON t.manifest = c.manifest WHERE j.id = ?"
      " AND t.name = 'adamax_m/visual.proj' ORDER BY c.step DESC LIMIT 1",
      (job,)).fetchone()
  state.close()
  blobs = sqlite3.connect(faults.folder / "data" / "blobs.db", timeout=30)
  chunk, content = blobs.execute(
      "SELECT c.id, c.bytes FROM blobs b JOIN chunks c ON c.id >> 20 = b.id"
      " WHERE b.digest = ?", (digest,)).fetchone()
  with blobs:
    blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?",
                  (bytes([content[0] ^ 4]) + content[1:], chunk))
  faults.run("job", "resume", job)
  faults.wait_for(job, "SUCCEEDED")
  # Only now, so that the invariants find every blob whole.
  with blobs:
    blobs.execute("UPDATE chunks SET bytes = ? WHERE id = ?", (content, chunk))
  blobs.close()
  assert faults.outcome(job) == whole
  told = [message for _, message in faults.events(job)]
  assert (f"The checkpoint after step {newest} cannot be used and is dropped"
          in told)
  assert first.running()
