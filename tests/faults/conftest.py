"""Real binaries with short constants, faults, and the invariants afterwards."""

import importlib.util
import json
import os
import pathlib
import random
import signal
import sys
import time
import uuid

import grpc
import pytest

INTEGRATION = pathlib.Path(__file__).resolve().parents[1] / "integration"
sys.path.insert(0, str(INTEGRATION))
_spec = importlib.util.spec_from_file_location("attune_service",
                                               INTEGRATION / "conftest.py")
service = importlib.util.module_from_spec(_spec)
sys.modules["attune_service"] = service
_spec.loader.exec_module(service)

import pictures  # noqa: E402  (beside integration/conftest.py)
from attune.v1 import job_service_pb2 as jobs_pb  # noqa: E402
from attune.v1 import job_service_pb2_grpc as jobs_rpc  # noqa: E402
from attune.v1 import worker_service_pb2 as worker_pb  # noqa: E402
from fake_worker import FakeWorker  # noqa: E402
import invariants  # noqa: E402

wait_until = service.wait_until
BINARIES = service.BINARIES
LONG = "ATTUNE_LONG_TESTS" in os.environ



def long_or_short(long, short):
  return long if LONG else short


# The short form has a lease of 6 s instead of the published 30, everything else
# in proportion. Retries are quick in both: the tests fail jobs all the time.
LEASE = long_or_short(30.0, 6.0)
LEASES = ("--lease-duration", str(LEASE), "--heartbeat-interval",
          str(LEASE / 6))
QUICK_RETRIES = ("--retry-delay", "0.2", "--max-retry-delay", "1",
                 "--max-failures", "1000")
SHORT = (*LEASES, *QUICK_RETRIES)


class Figures:
  """What a run measures; merged into the file ATTUNE_FAULTS_FIGURES."""

  def __init__(self):
    self.path = os.environ.get("ATTUNE_FAULTS_FIGURES")

  def _write(self, change):
    if not self.path:
      return
    path = pathlib.Path(self.path)
    values = json.loads(path.read_text()) if path.exists() else {}
    change(values)
    path.write_text(json.dumps(values, indent=1, sort_keys=True) + "\n")

  def maximum(self, name, value):
    def change(values):
      values[name] = max(values.get(name, value), round(value, 3))
    self._write(change)

  def set(self, name, value):
    self._write(lambda values: values.__setitem__(name, value))

  def add(self, name, value):
    def change(values):
      values[name] = values.get(name, 0) + value
    self._write(change)


def children_of(pid):
  """Process ids of the living children."""
  found = []
  for entry in pathlib.Path("/proc").iterdir():
    if not entry.name.isdigit():
      continue
    try:
      fields = (entry / "stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
      continue
    if fields[0] != "Z" and int(fields[1]) == pid:
      found.append(int(entry.name))
  return found


def descendants_of(pid):
  """Process ids of the living children, of theirs, and so on."""
  found = children_of(pid)
  return found + [below for child in found for below in descendants_of(child)]


class Faults(service.Attune):
  """A service with the log of what it has acknowledged."""

  def __init__(self, folder):
    super().__init__(folder)
    self.log = []
    self.channels = {}
    self.random = random.Random(7)

  def prepare(self):
    self.make_tiny_model("base")
    examples = pictures.write_examples(self.folder / "pictures")
    self.run("dataset", "create", "pairs")
    self.run("dataset", "upload", "pairs", examples, "--seal", "--no-wait")
    # The pictures are good: nobody needs to look.
    validator = FakeWorker(self.channel(), "validator")
    validator.lease()
    validator.stub.CompleteTask(worker_pb.CompleteTaskRequest(
        lease_token=validator.task.lease_token,
        validate=worker_pb.ValidateResult()))

  def channel(self, address=None):
    """One channel an address, which soon finds a server that is back."""
    address = address or self.address
    if address not in self.channels:
      self.channels[address] = grpc.insecure_channel(address, options=[
          ("grpc.max_receive_message_length", 32 << 20),
          ("grpc.initial_reconnect_backoff_ms", 100),
          ("grpc.max_reconnect_backoff_ms", 500)])
    return self.channels[address]

  def jobs(self):
    return jobs_rpc.JobServiceStub(self.channel())

  def request(self, output="robust", steps=60, every=5, seed=0):
    train = jobs_pb.TrainSpec(dataset="pairs", base="base",
                              output_model=output, steps=steps, batch_size=8,
                              seed=seed, checkpoint_every=every)
    train.dpo.kl_weight = 0
    train.optimizer.learning_rate = 1e-4
    return jobs_pb.CreateJobRequest(train=train, request_id=str(uuid.uuid4()))

  def create(self, **spec):
    """Submits a training job; returns its id."""
    request = self.request(**spec)
    job = self.jobs().CreateJob(request, timeout=30)
    self.acknowledge("CreateJob", request.request_id, job.id)
    return job.id

  def acknowledge(self, call, request_id, job_id):
    self.log.append({"call": call, "request_id": request_id, "id": job_id})

  def show(self, job):
    """The job; asks again while the server is away."""
    deadline = time.monotonic() + 60
    while True:
      try:
        return self.jobs().GetJob(jobs_pb.GetJobRequest(id=job), timeout=30,
                                  wait_for_ready=True)
      except grpc.RpcError as error:
        if (error.code() != grpc.StatusCode.UNAVAILABLE or
            time.monotonic() > deadline):
          raise
        time.sleep(0.1)

  def state(self, job):
    return jobs_pb.JobState.Name(self.show(job).state)[len("JOB_STATE_"):]

  def wait_for(self, job, state, seconds=180):
    wait_until(lambda: self.state(job) == state, f"{job} {state}\n"
               + self.logs(), seconds)

  def wait_for_step(self, job, step, seconds=120):
    wait_until(lambda: self.show(job).step >= step, f"step {step} of {job}",
               seconds)

  def events(self, job):
    return [(event.time.ToNanoseconds() / 1e9, event.message)
            for event in self.jobs().ListEvents(
                jobs_pb.ListEventsRequest(job_id=job), timeout=30).events]

  def rows(self, job):
    """The metric rows without what differs from run to run."""
    rows = []
    for row in self.jobs().ListMetrics(jobs_pb.ListMetricsRequest(
        job_id=job, page_size=10000), timeout=30).rows:
      row.ClearField("time")
      row.ClearField("attempt")
      row.ClearField("examples_per_second")
      rows.append(row.SerializeToString(deterministic=True))
    return rows

  def outcome(self, job):
    """Everything that two runs of one spec must have in common, bit by bit."""
    state = invariants.open_database(self.folder / "data" / "state.db")
    versions = []
    for name in self.show(job).output_versions:
      model, number = name.split(":")
      versions.append(state.execute(
          "SELECT m.digest FROM versions v JOIN models o ON o.id = v.model"
          " JOIN manifests m ON m.id = v.manifest"
          " WHERE o.name = ? AND v.number = ?", (model, number)).fetchone()[0])
    # The last checkpoint: weights, average and optimizer state.
    checkpoint = state.execute(
        "SELECT t.name, t.blob_digest FROM tensors t WHERE t.manifest ="
        " (SELECT manifest FROM checkpoints c JOIN jobs j ON j.sequence = c.job"
        "  WHERE j.id = ? ORDER BY c.step DESC LIMIT 1) ORDER BY t.name",
        (job,)).fetchall()
    state.close()
    assert versions and checkpoint
    return versions, checkpoint, self.rows(job)

  def start_trainer(self, *extra):
    return self.start_worker("--threads", "1", *extra, roles="train")

  def task_children(self, worker):
    """The children of a worker that run a task."""
    found = []
    for pid in children_of(worker.popen.pid):
      try:
        command = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
      except OSError:
        continue
      if b"--run-task" in command:
        found.append(pid)
    return found

  def kill_group(self, worker):
    os.killpg(worker.popen.pid, signal.SIGKILL)
    worker.popen.wait(10)

  def stop_and_check(self):
    """Ends every process; nothing may be left, and the invariants hold."""
    pids = [worker.popen.pid for worker in self.workers]
    pids += [below for pid in pids for below in descendants_of(pid)]
    for worker in self.workers:
      if worker.running():
        os.killpg(worker.popen.pid, signal.SIGCONT)
      worker.kill()
    # The kernel kills the children with their parent.
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and any(map(alive, pids)):
      time.sleep(0.05)
    left = [pid for pid in pids if alive(pid)]
    assert not left, f"processes are left: {left}"
    if self.server.running():
      assert self.server.terminate() == 0, self.logs()
    violations = invariants.check(self.folder / "data", self.log)
    lost = sum("is lost" in violation for violation in violations)
    Figures().add("lost_jobs", lost)
    assert not violations, violations


def alive(pid):
  try:
    stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
  except OSError:
    return False
  return stat.rsplit(")", 1)[1].split()[0] != "Z"


@pytest.fixture
def faults(tmp_path):
  """A server with short constants and a model and dataset to train with; the
  invariants are checked at the end."""
  faults = Faults(tmp_path)
  try:
    faults.start_server(*SHORT)
    faults.prepare()
    yield faults
    faults.stop_and_check()
  finally:
    faults.stop()


@pytest.fixture
def figures():
  return Figures()
