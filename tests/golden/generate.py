#!/usr/bin/env python3
"""Makes every golden file of the tests, in the environment of
tests/parity/requirements.txt:

    python=$(tests/integration/make_python_environment.sh \\
      tests/parity/requirements.txt)
    $python tests/golden/generate.py [--only NAME] [--check]

  images   images/*, images.json, resize.json: Pillow's decoding and resizing
  clip     clip/*: embeddings and gradients of transformers' CLIPModel
  tokens   prints nothing to keep: 100,000 random strings and their tokens go
           to --tokens FILE, for ATTUNE_TOKEN_VECTORS (too large to commit)

--check writes elsewhere and compares with what is here: bytes, or for tensors
1e-5 of the largest value. It ends with 1 when something differs.
"""

import argparse
import pathlib
import shutil
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


def make_images(folder):
  import generate_images

  generate_images.HERE = folder
  generate_images.write_files()
  generate_images.write_resizes()


def make_clip(folder):
  import generate_clip

  generate_clip.generate(folder / "clip")


GENERATORS = {"images": make_images, "clip": make_clip}


def differences(made, kept):
  """What is wrong with `kept`, a line each."""
  for path in sorted(made.rglob("*")):
    if path.is_dir():
      continue
    name = path.relative_to(made)
    other = kept / name
    if not other.exists():
      yield f"{name} is missing"
    elif path.suffix == ".safetensors":
      yield from tensor_differences(name, path, other)
    elif path.read_bytes() != other.read_bytes():
      yield f"{name} differs"


def tensor_differences(name, path, other):
  from safetensors.torch import load_file

  made, kept = load_file(path), load_file(other)
  if made.keys() != kept.keys():
    yield f"{name} has other tensors"
    return
  for key, tensor in made.items():
    allowed = 1e-5 * max(tensor.double().abs().max().item(), 1e-6)
    if (kept[key].shape != tensor.shape or
        (kept[key].double() - tensor.double()).abs().max() > allowed):
      yield f"{name}: {key} differs"


def write_tokens(path):
  import os

  cache = os.environ.get("ATTUNE_CACHE_DIR",
                         os.path.expanduser("~/.cache/attune"))
  with open(path, "w") as sink:
    subprocess.run(
        [sys.executable, HERE / "generate_tokens.py",
         f"{cache}/vocabulary/bpe_simple_vocab_16e6.txt.gz"],
        check=True, stdout=sink)


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("--only", choices=GENERATORS, action="append")
  parser.add_argument("--check", action="store_true")
  parser.add_argument("--tokens", metavar="FILE")
  arguments = parser.parse_args()
  if arguments.tokens:
    write_tokens(arguments.tokens)
    return 0
  with tempfile.TemporaryDirectory() as scratch:
    made = pathlib.Path(scratch)
    for name in arguments.only or GENERATORS:
      GENERATORS[name](made)
    if not arguments.check:
      shutil.copytree(made, HERE, dirs_exist_ok=True)
      return 0
    wrong = list(differences(made, HERE))
  print("\n".join(wrong) or "the golden files are as they would be made now")
  return 1 if wrong else 0


if __name__ == "__main__":
  sys.exit(main())
