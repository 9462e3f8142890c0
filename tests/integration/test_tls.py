"""TLS and mutual TLS of the real binaries."""

import socket
import ssl
import subprocess

import pytest

from certificates import SERVER_NAMES, Authority
from conftest import BINARIES, Attune, wait_until


@pytest.fixture
def authority(tmp_path):
  return Authority(tmp_path / "authority")


@pytest.fixture
def secured(tmp_path, authority):
  """A server with TLS whose clients know its authority."""
  service = Attune(tmp_path)
  certificate, key = authority.issue("server", SERVER_NAMES)
  service.security = ["--tls-ca", authority.certificate]
  try:
    service.start_server("--tls-certificate", certificate, "--tls-key", key)
    yield service
  finally:
    service.stop()


def served_name(service, authority):
  """The common name of the certificate that the server shows now."""
  context = ssl.create_default_context(cafile=str(authority.certificate))
  host, port = service.address.rsplit(":", 1)
  with socket.create_connection((host, int(port)), timeout=10) as connection:
    with context.wrap_socket(connection, server_hostname=host) as wrapped:
      return dict(part[0] for part in wrapped.getpeercert()["subject"])[
          "commonName"]


def handshake(service, version):
  """Whether the server takes a handshake of this version of TLS."""
  context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
  context.check_hostname = False
  context.verify_mode = ssl.CERT_NONE
  # Debian's OpenSSL would not even offer the old ones.
  context.set_ciphers("ALL:@SECLEVEL=0")
  context.minimum_version = context.maximum_version = version
  host, port = service.address.rsplit(":", 1)
  with socket.create_connection((host, int(port)), timeout=10) as connection:
    try:
      with context.wrap_socket(connection):
        return True
    except (ssl.SSLError, ConnectionResetError):
      return False


def test_client_and_worker_speak_tls(secured):
  secured.start_worker()
  wait_until(lambda: "cpu" in secured.run("worker", "list"), "the worker")


def test_tls_before_1_2_is_refused(secured):
  assert handshake(secured, ssl.TLSVersion.TLSv1_2)
  assert handshake(secured, ssl.TLSVersion.TLSv1_3)
  assert not handshake(secured, ssl.TLSVersion.TLSv1_1)
  assert not handshake(secured, ssl.TLSVersion.TLSv1)


def test_a_new_certificate_is_served_without_a_restart(secured, authority):
  assert served_name(secured, authority) == "server"
  authority.issue("renewed", SERVER_NAMES, stem="server")
  wait_until(lambda: served_name(secured, authority) == "renewed",
             "the new certificate", seconds=15)
  secured.run("model", "list")


def test_a_server_of_another_authority_is_refused(secured, tmp_path):
  stranger = Authority(tmp_path / "stranger", "stranger")
  secured.security = ["--tls-ca", stranger.certificate]
  secured.run("model", "list", code=4)
  assert "a certificate for this address that --tls-ca has signed" in (
      secured.errors)


def test_a_certificate_for_another_address_is_refused(tmp_path, authority):
  service = Attune(tmp_path)
  certificate, key = authority.issue("server", "DNS:elsewhere.example")
  service.security = ["--tls-ca", authority.certificate]
  try:
    service.start_server("--tls-certificate", certificate, "--tls-key", key)
    service.run("model", "list", code=4)
  finally:
    service.stop()


def test_plaintext_to_a_port_with_tls_is_refused_and_says_what_to_do(secured):
  secured.security = []
  secured.run("model", "list", code=4)
  assert "Pass --tls-ca" in secured.errors


def test_tls_to_a_port_without_is_refused_and_says_what_to_do(
    bare_server, authority):
  bare_server.security = ["--tls-ca", authority.certificate]
  bare_server.run("model", "list", code=4)
  assert "Does it use TLS" in bare_server.errors


def start_fails(tmp_path, *flags, listen="127.0.0.1:0"):
  """Standard error of a server that is to refuse these flags."""
  done = subprocess.run(
      [BINARIES / "attune-server", "--data-dir", tmp_path / "refused",
       "--listen", listen, "--metrics", "", *map(str, flags)],
      capture_output=True, text=True, timeout=60)
  assert done.returncode == 1, done.stderr
  return done.stderr


def test_a_server_refuses_files_that_do_not_fit(tmp_path, authority):
  certificate, key = authority.issue("server", SERVER_NAMES)
  other, other_key = authority.issue("other", SERVER_NAMES)
  del other
  assert "go together" in start_fails(tmp_path, "--tls-certificate",
                                      certificate)
  assert str(other_key) in start_fails(
      tmp_path, "--tls-certificate", certificate, "--tls-key", other_key)
  missing = tmp_path / "none.pem"
  assert str(missing) in start_fails(
      tmp_path, "--tls-certificate", missing, "--tls-key", key)
  assert "--tls-certificate" in start_fails(tmp_path, "--tls-client-ca",
                                            authority.certificate)


def test_another_machine_needs_tls_or_the_flag(tmp_path, authority):
  assert "--tls-certificate" in start_fails(tmp_path, listen="0.0.0.0:0")
  certificate, key = authority.issue("server", SERVER_NAMES)
  service = Attune(tmp_path)
  service.security = ["--tls-ca", authority.certificate]
  service.address = "0.0.0.0:0"
  try:
    service.start_server("--tls-certificate", certificate, "--tls-key", key)
    service.address = service.address.replace("0.0.0.0", "127.0.0.1")
    service.run("model", "list")
  finally:
    service.stop()
