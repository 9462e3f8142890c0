"""API keys, roles and workers' certificates of the real binaries."""

import pytest

import pictures
from certificates import SERVER_NAMES, Authority
from conftest import Attune, wait_until


def refused(service, reason, *arguments):
  """Whether the CLI ends with this reason; for waiting."""
  try:
    service.run(*arguments, code=1)
  except AssertionError:
    return False
  return reason in service.errors


def test_with_keys_everybody_works_as_before(tmp_path):
  service = Attune(tmp_path)
  try:
    # Before there is a server, and a folder.
    user = service.make_key("alice", "user")
    worker = service.make_key("gpu-1", "worker")
    operator = service.make_key("root", "operator")
    service.start_server()

    service.run("model", "list", code=1)
    assert "CREDENTIALS_MISSING" in service.errors
    assert "--api-key-file" in service.errors

    service.security = ["--api-key-file", worker]
    service.start_worker()
    service.run("model", "list", code=1)
    assert "ROLE_NOT_ALLOWED" in service.errors

    service.security = ["--api-key-file", user]
    service.make_tiny_model("base")
    examples = pictures.write_examples(tmp_path / "pictures")
    service.run("dataset", "create", "pairs")
    service.run("dataset", "upload", "pairs", examples, "--seal")
    service.run("job", "submit", "--dataset", "pairs", "--model", "base",
                "--output-model", "robust", "--steps", "3", "--batch-size",
                "8", "--kl-weight", "0", "--watch")
    service.run("classify", tmp_path / "pictures/p0.png", "--model", "robust",
                "--labels", "dog,cat")
    service.run("model", "delete", "robust", code=1)
    assert "ROLE_NOT_ALLOWED" in service.errors

    service.security = ["--api-key-file", operator]
    service.run("model", "delete", "robust")

    logs = service.logs()
    for path in (user, worker, operator):
      assert path.read_text().strip() not in logs
      assert path.read_text().strip()[20:] not in logs
  finally:
    service.stop()


def test_a_key_is_made_listed_and_revoked_while_the_server_runs(bare_server):
  bare_server.run("model", "list")
  key = bare_server.make_key("alice", "user")
  wait_until(lambda: refused(bare_server, "CREDENTIALS_MISSING", "model",
                             "list"), "the server to want keys", seconds=10)
  bare_server.security = ["--api-key-file", key]
  bare_server.run("model", "list")
  shown = bare_server.keys("list")
  assert "alice" in shown and "user" in shown
  assert key.read_text().strip() not in shown
  bare_server.keys("create", "--name", "alice", "--role", "user", code=1)
  bare_server.keys("revoke", "alice")
  wait_until(lambda: refused(bare_server, "KEY_REVOKED", "model", "list"),
             "the end of the key", seconds=10)
  bare_server.keys("revoke", "alice", code=1)
  # The file's secret is nowhere in the database.
  data = bare_server.folder / "data"
  secret = key.read_text().strip().rsplit("_", 1)[1].encode()
  for path in data.glob("state.db*"):
    assert secret not in path.read_bytes()


def test_require_auth_closes_a_server_without_keys(tmp_path):
  service = Attune(tmp_path)
  try:
    service.start_server("--require-auth")
    service.run("model", "list", code=1)
    assert "CREDENTIALS_MISSING" in service.errors
  finally:
    service.stop()


def test_a_key_does_not_leave_the_machine_unencrypted(bare_server):
  key = bare_server.make_key("alice", "user")
  bare_server.address = "server.example:7700"
  bare_server.security = ["--api-key-file", key]
  bare_server.run("model", "list", code=1)
  assert "API_KEY_NEEDS_TLS" in bare_server.errors
  assert key.read_text().strip() not in bare_server.errors


@pytest.fixture
def mutual(tmp_path):
  """A server that knows workers by certificates and alice by a key."""
  service = Attune(tmp_path)
  service.authority = Authority(tmp_path / "authority")
  certificate, key = service.authority.issue("server", SERVER_NAMES)
  try:
    service.alice = ["--tls-ca", service.authority.certificate,
                     "--api-key-file", service.make_key("alice", "user")]
    service.security = service.alice
    service.start_server("--tls-certificate", certificate, "--tls-key", key,
                         "--tls-client-ca", service.authority.certificate)
    yield service
  finally:
    service.stop()


def worker_flags(service, certificate, key):
  return ["--tls-ca", service.authority.certificate, "--tls-certificate",
          certificate, "--tls-key", key]


def test_a_worker_is_known_by_its_certificate(mutual, tmp_path):
  mutual.security = worker_flags(mutual, *mutual.authority.issue("gpu-1"))
  mutual.start_worker()
  # A worker is no user.
  mutual.run("model", "list", code=1)
  assert "ROLE_NOT_ALLOWED" in mutual.errors
  mutual.security = mutual.alice
  wait_until(lambda: "gpu-1." in mutual.run("worker", "list"), "the worker")
  # Its children are known, too: one decodes the pictures.
  mutual.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  mutual.run("dataset", "create", "pairs")
  mutual.run("dataset", "upload", "pairs", examples, "--seal")
  mutual.run("classify", tmp_path / "pictures/p0.png", "--model", "base",
             "--labels", "dog,cat")


def log_of(worker):
  return worker.log.read_text(errors="replace")


def test_a_worker_cannot_take_the_name_of_another(mutual):
  mutual.security = worker_flags(mutual, *mutual.authority.issue("gpu-1"))
  for name in ("gpu-2.1", "gpu-1", "gpu-1.a.b", "gpu-11.1"):
    worker = mutual.start_worker("--worker-id", name)
    assert worker.popen.wait(60) == 1
    assert "must be named 'gpu-1.SUFFIX'" in log_of(worker)


def test_a_workers_key_does_not_stand_for_a_certificate(mutual):
  key = mutual.make_key("gpu-2", "worker")
  mutual.security = ["--tls-ca", mutual.authority.certificate,
                     "--api-key-file", key]
  # Once the server knows the key, it says what the key is not good for.
  wait_until(lambda: refused(mutual, "ROLE_NOT_ALLOWED", "model", "list"),
             "the server to know the key", seconds=10)
  worker = mutual.start_worker()
  assert worker.popen.wait(60) == 1
  assert "by their certificates" in log_of(worker)


def test_a_certificate_of_another_authority_is_refused(mutual, tmp_path):
  stranger = Authority(tmp_path / "stranger", "stranger")
  mutual.security = worker_flags(mutual, *stranger.issue("gpu-1"))
  mutual.run("model", "list", code=4)
