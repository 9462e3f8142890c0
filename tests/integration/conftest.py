"""Fixtures that start the real binaries on free ports in a folder of their own.

The binaries are those of the build folder in ATTUNE_BINARIES; the stubs are
made from the protos, as any client in another language would.
"""

import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import grpc
import pytest
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARIES = pathlib.Path(os.environ.get("ATTUNE_BINARIES",
                                       ROOT / "build/dev/bin"))
STUBS = pathlib.Path(os.environ.get("ATTUNE_STUBS", ROOT / "build/stubs"))


def make_stubs():
  """Generates attune/v1/*_pb2*.py into STUBS and puts it on the path."""
  STUBS.mkdir(parents=True, exist_ok=True)
  protos = sorted((ROOT / "proto/attune/v1").glob("*.proto"))
  code = protoc.main(["protoc", f"-I{ROOT / 'proto'}",
                      f"-I{pathlib.Path(protoc.__file__).parent / '_proto'}",
                      f"--python_out={STUBS}", f"--grpc_python_out={STUBS}",
                      *map(str, protos)])
  assert code == 0, "the protos did not compile"
  sys.path.insert(0, str(STUBS))


make_stubs()


def shared_data():
  """The folder with real pictures, or None (see tests/test_util)."""
  folder = pathlib.Path(os.environ.get("ATTUNE_SHARED_DATA",
                                       ROOT.parent / "shared/data"))
  return folder if folder.is_dir() else None


def wait_until(condition, what, seconds=120):
  """Polls condition() until it is true; fails naming what it waited for."""
  deadline = time.monotonic() + seconds
  while time.monotonic() < deadline:
    result = condition()
    if result:
      return result
    time.sleep(0.05)
  pytest.fail(f"waited {seconds} s in vain for {what}")


class Process:
  """A running binary with its log file."""

  def __init__(self, arguments, log):
    self.log = log
    with open(log, "ab") as sink:
      self.popen = subprocess.Popen(list(map(str, arguments)), stdout=sink,
                                    stderr=subprocess.STDOUT,
                                    start_new_session=True)

  def running(self):
    return self.popen.poll() is None

  def terminate(self, seconds=40):
    """SIGTERM; returns the exit code."""
    if self.running():
      self.popen.send_signal(signal.SIGTERM)
    return self.popen.wait(seconds)

  def kill(self):
    """SIGKILL."""
    if self.running():
      self.popen.kill()
    self.popen.wait(10)


class Attune:
  """A server, its workers, and the CLI that talks to them."""

  def __init__(self, folder):
    self.folder = folder
    self.server = None
    self.workers = []
    self.address = None
    self.metrics = None
    # The flags of TLS and keys, for the CLI and the workers.
    self.security = []

  def start_server(self, *extra):
    addresses = self.folder / "addresses"
    addresses.unlink(missing_ok=True)
    listen = self.address or "127.0.0.1:0"
    self.server = Process([
        BINARIES / "attune-server", "--data-dir", self.folder / "data",
        "--listen", listen, "--metrics", "127.0.0.1:0", "--address-file",
        addresses, *extra
    ], self.folder / "server.log")
    wait_until(lambda: addresses.exists() or not self.server.running(),
               "the server's addresses")
    assert self.server.running(), self.logs()
    lines = dict(line.split("=", 1)
                 for line in addresses.read_text().split())
    self.address = lines["listen"]
    self.metrics = lines["metrics"]

  def start_worker(self, *extra, roles="train,serve"):
    worker = Process([
        BINARIES / "attune-worker", "--server", self.address, "--device",
        "cpu", "--roles", roles, "--cache-dir", self.folder / "cache",
        *self.security, *extra
    ], self.folder / f"worker-{len(self.workers)}.log")
    self.workers.append(worker)
    return worker

  def run(self, *arguments, code=0):
    """Runs the CLI; returns its standard output."""
    done = subprocess.run(
        [BINARIES / "attune", "--server", self.address,
         *map(str, [*self.security, *arguments])],
        capture_output=True, text=True, timeout=600)
    assert done.returncode == code, (
        f"{arguments}: exit {done.returncode}, expected {code}\n{done.stdout}"
        f"\n{done.stderr}\n{self.logs()}")
    self.errors = done.stderr
    return done.stdout

  def keys(self, *arguments, code=0):
    """Runs attune-server keys on the data folder; returns what it printed."""
    done = subprocess.run(
        [BINARIES / "attune-server", "keys", *map(str, arguments),
         "--data-dir", self.folder / "data"], capture_output=True, text=True, timeout=60)
    assert done.returncode == code, done.stderr
    self.errors = done.stderr
    return done.stdout

  def make_key(self, name, role):
    """Makes an API key; returns the path of a file that holds it."""
    path = self.folder / f"{name}.apikey"
    path.write_text(self.keys("create", "--name", name, "--role", role))
    return path

  def json(self, *arguments):
    """Runs the CLI with --output json; returns the one object."""
    return json.loads(self.run("--output", "json", *arguments))

  def channel(self):
    return grpc.insecure_channel(
        self.address, options=[("grpc.max_receive_message_length", 32 << 20)])

  def make_tiny_model(self, name="base", seed=0):
    path = self.folder / f"{name}.safetensors"
    subprocess.run([BINARIES / "attune-convert", "--init", "tiny", "--seed",
                    str(seed), path], check=True, capture_output=True)
    self.run("model", "import", name, path)
    return path

  def logs(self):
    parts = []
    for path in sorted(self.folder.glob("*.log")):
      parts.append(f"--- {path.name}\n" + path.read_text(errors="replace")[-4000:])
    return "\n".join(parts)

  def stop(self):
    for process in [*self.workers, self.server]:
      if process:
        process.kill()


@pytest.fixture
def attune(tmp_path):
  """A server with one worker that trains and serves."""
  service = Attune(tmp_path)
  try:
    service.start_server()
    service.start_worker()
    yield service
  finally:
    service.stop()


@pytest.fixture
def bare_server(tmp_path):
  """A server without workers."""
  service = Attune(tmp_path)
  try:
    service.start_server()
    yield service
  finally:
    service.stop()
