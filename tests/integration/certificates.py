"""Certificates for the tests, made by the openssl command."""

import os
import subprocess

# What the certificate of a server under test is for.
SERVER_NAMES = "IP:127.0.0.1,DNS:localhost"


def openssl(*arguments):
  subprocess.run(["openssl", *map(str, arguments)], check=True,
                 capture_output=True, timeout=60)


class Authority:
  """A certificate authority in a folder of its own."""

  def __init__(self, folder, name="test authority"):
    folder.mkdir(parents=True)
    self.folder = folder
    self.certificate = folder / "ca.pem"
    self.key = folder / "ca.key"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt",
            "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
            f"/CN={name}", "-keyout", self.key, "-out", self.certificate)

  def issue(self, name, names=None, stem=None):
    """Signs a new certificate; returns the paths of it and its key.

    Both appear by renaming, as whoever renews them in production does it."""
    stem = stem or name
    certificate = self.folder / f"{stem}.pem"
    key = self.folder / f"{stem}.key"
    request = self.folder / f"{stem}.csr"
    extensions = self.folder / f"{stem}.ext"
    extensions.write_text(f"subjectAltName={names}\n" if names else
                          "basicConstraints=CA:FALSE\n")
    new_key, new_certificate = f"{key}.new", f"{certificate}.new"
    openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
            "-nodes", "-subj", f"/CN={name}", "-keyout", new_key, "-out",
            request)
    openssl("x509", "-req", "-in", request, "-CA", self.certificate, "-CAkey",
            self.key, "-CAcreateserial", "-days", "2", "-extfile", extensions,
            "-out", new_certificate)
    os.rename(new_key, key)
    os.rename(new_certificate, certificate)
    return certificate, key
