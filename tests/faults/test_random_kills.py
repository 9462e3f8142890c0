"""Server, workers and their children are killed at random under a mixed load:
30 times in the short form, 1,000 in the long one."""

import os
import signal
import threading
import time

import grpc

from attune.v1 import inference_service_pb2 as inference_pb
from attune.v1 import inference_service_pb2_grpc as inference_rpc
from attune.v1 import job_service_pb2 as jobs_pb
from conftest import SHORT, children_of, long_or_short, wait_until

# Submitted beforehand and not ended: more would only wait.
OPEN_JOBS = 4


class Load:
  """Clients that submit, cancel, upload and embed until stop()."""

  def __init__(self, faults):
    self.faults = faults
    self.ended = threading.Event()
    self.submitted = []
    self.answers = 0
    self.threads = [threading.Thread(target=self.repeat, args=(body,),
                                     daemon=True)
                    for body in (self.submit, self.upload, self.embed)]
    for thread in self.threads:
      thread.start()

  def repeat(self, body):
    number = 0
    while not self.ended.wait(0.2):
      try:
        body(number)
      except grpc.RpcError:
        continue
      except AssertionError:
        continue  # the CLI could not reach the server for its whole timeout
      number += 1

  def stop(self):
    self.ended.set()
    for thread in self.threads:
      thread.join(180)
      assert not thread.is_alive()

  def submit(self, number):
    open_jobs = [job for job in self.submitted
                 if self.faults.state(job) not in ("SUCCEEDED", "CANCELLED",
                                                   "FAILED")]
    if len(open_jobs) >= OPEN_JOBS:
      return
    request = self.faults.request(output=f"m{number % 5}", steps=40, every=5,
                                  seed=number)
    # The same request until it is answered.
    while not self.ended.is_set():
      try:
        job = self.faults.jobs().CreateJob(request, timeout=5)
        break
      except grpc.RpcError:
        time.sleep(0.1)
    else:
      return
    self.faults.acknowledge("CreateJob", request.request_id, job.id)
    self.submitted.append(job.id)
    if number % 4 == 3:
      self.faults.jobs().CancelJob(jobs_pb.CancelJobRequest(id=job.id),
                                   timeout=5)

  def upload(self, number):
    name = f"set-{number}"
    self.faults.run("dataset", "create", name)
    self.faults.run("dataset", "upload", name,
                    self.faults.folder / "pictures/examples.jsonl")

  def embed(self, number):
    stub = inference_rpc.InferenceServiceStub(self.faults.channel())
    stub.EmbedTexts(inference_pb.EmbedTextsRequest(
        version="base", texts=[f"text {number}"]), timeout=5)
    self.answers += 1


def kill_one(faults):
  """SIGKILL for the server, a worker or one of a worker's children."""
  what = faults.random.choice(["server", "worker", "child", "child"])
  at = faults.random.randrange(len(faults.workers))
  worker = faults.workers[at]
  if what == "server":
    faults.server.kill()
    time.sleep(faults.random.uniform(0, 2))
    faults.start_server(*SHORT)
  elif what == "worker":
    faults.kill_group(worker)
    faults.workers[at] = start(faults)
  else:
    children = children_of(worker.popen.pid)
    if children:
      os.kill(faults.random.choice(children), signal.SIGKILL)


def start(faults):
  worker = faults.start_worker("--threads", "1")
  faults.workers.remove(worker)
  return worker


def test_random_kills_lose_nothing(faults, figures):
  faults.workers.extend([start(faults), start(faults)])
  load = Load(faults)
  kills = long_or_short(1000, 30)
  for _ in range(kills):
    time.sleep(faults.random.uniform(0.2, 3))
    kill_one(faults)
  load.stop()
  for job in load.submitted:
    wait_until(lambda: faults.state(job) in ("SUCCEEDED", "CANCELLED"),
               f"the end of {job}", 300)
  figures.set("random_kills", kills)
  figures.set("random_kills_jobs", len(load.submitted))
  assert load.submitted and load.answers
  # A worker that nobody kills gets everything done, so nothing was stuck.
  faults.run("classify", faults.folder / "pictures/p0.png", "--model", "base",
             "--labels", "dog,cat")
