#!/usr/bin/env python3
"""The paper's tables, one command each, from folders of data.

    reproduce.py typographic --train FOLDER --rta100 FOLDER [--clean FOLDER …]
    reproduce.py gender --pairs FOLDER
    reproduce.py scam --logits FOLDER

The first two start a server and a worker in a folder of their own (or use
--server), import --weights (without them a random ViT-B/32, which shows that
the pipeline works and nothing else), align it once for each objective, evaluate
every version beside the base, and print one table. README.md here describes the
folders. Needs Python 3.9 and the built programs, nothing else.
"""

import argparse
import array
import contextlib
import csv
import io
import json
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
# Pixels of a picture before the word is drawn.
SIDE = 168
ATTACKED_SETS = ("rta100", "paint", "disentangling")
PICTURES = {".jpg", ".jpeg", ".png", ".webp"}


def prompt(text):
  return f"a photo of a {text}."


def pictures_in(folder):
  return sorted(path for path in pathlib.Path(folder).rglob("*")
                if path.suffix.lower() in PICTURES)


# ---- rows: a folder as JSON objects, one an example


def attacked_rows(folder):
  """Photos named label=dog_text=cat.jpg (RTA-100 and PAINT; Disentangling once
  renamed so): a labelled row with its attack, and the same as a pair."""
  for path in pictures_in(folder):
    name = re.fullmatch(r"label=(.*)_text=(.*)", path.stem)
    if name is None:
      sys.exit(f"{path}: the name must be label=X_text=Y.jpg")
    label, word = (prompt(part) for part in name.groups())
    if label == word:
      continue
    yield {"image": str(path), "label": label, "attack": word}
    yield {"image": str(path), "preferred": label, "rejected": word}


def gender_rows(folder):
  """PAIRS: AREA/SCENE/RACE_GENDER.png, alike but for the person."""
  for path in pictures_in(folder):
    # One of the set is called white_man1.
    name = re.fullmatch(r"([a-z]+)_(man|woman)\d*", path.stem)
    if name is None:
      sys.exit(f"{path}: the name must be RACE_man or RACE_woman")
    race, gender = name.groups()
    other = "woman" if gender == "man" else "man"
    attributes = {"gender": gender, "race": race, "area": path.parts[-3]}
    yield {"image": str(path), "label": prompt(gender),
           "attributes": attributes}
    yield {"image": str(path), "preferred": prompt(gender),
           "rejected": prompt(other), "attributes": attributes}


def pairs_of(rows):
  """For training: the pairs, and every picture as a clean one."""
  rows = [row for row in rows if "preferred" in row]
  return rows + [{"image": row["image"]} for row in rows]


def texts_of(rows):
  keys = ("label", "attack", "preferred", "rejected")
  return sorted({row[key] for row in rows for key in keys if key in row})


# ---- the programs


class Attune:
  """A server with a worker, or one that runs already, and the CLI."""

  def __init__(self, options, folder):
    self.binaries = pathlib.Path(options.binaries)
    self.folder = folder
    self.processes = []
    self.tables = []
    self.server = options.server

  def __enter__(self):
    if not self.server:
      self.server = self.start()
    return self

  def __exit__(self, *_):
    for process in reversed(self.processes):
      process.terminate()
    for process in self.processes:
      process.wait()

  def start(self):
    addresses = self.folder / "addresses"
    self.spawn("attune-server", "--data-dir", self.folder / "data", "--listen",
               "127.0.0.1:0", "--metrics", "127.0.0.1:0", "--address-file",
               addresses)
    for _ in range(200):
      if addresses.exists():
        break
      time.sleep(0.1)
    else:
      self.fail("the server does not start")
    lines = dict(line.split("=", 1)
                 for line in addresses.read_text().split())
    self.spawn("attune-worker", "--server", lines["listen"], "--cache-dir",
               self.folder / "cache")
    return lines["listen"]

  def spawn(self, program, *arguments):
    log = open(self.folder / f"{program}.log", "wb")
    self.processes.append(subprocess.Popen(
        [self.binaries / program, *map(str, arguments)], stdout=log,
        stderr=subprocess.STDOUT))

  def fail(self, message):
    """Ends with the last lines of the logs."""
    for path in sorted(self.folder.glob("*.log")):
      lines = path.read_text(errors="replace").splitlines()[-10:]
      print(path.name, *lines, sep="\n  ", file=sys.stderr)
    sys.exit(message)

  def run(self, *arguments):
    """The command's output; its progress goes to the terminal."""
    print("attune", *arguments, file=sys.stderr, flush=True)
    done = subprocess.run(
        [self.binaries / "attune", "--server", self.server,
         *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
      self.fail(f"{done.stdout}the command failed: exit {done.returncode}")
    return done.stdout

  def upload(self, name, rows):
    """A sealed dataset whose candidates are the rows' texts."""
    rows = list(rows)
    examples = self.folder / f"{name}.jsonl"
    examples.write_text("".join(json.dumps(row) + "\n" for row in rows))
    candidates = self.folder / f"{name}.txt"
    candidates.write_text("".join(text + "\n" for text in texts_of(rows)))
    self.run("dataset", "create", name, "--candidates", candidates)
    self.run("dataset", "upload", name, examples, "--seal")

  def attack_and_upload(self, name, photos, *arguments):
    """Class folders of clean photos, with words written on them."""
    made = self.folder / f"{name}-attacked"
    self.run("dataset", "attack", photos, made, "--side", SIDE, *arguments)
    self.run("dataset", "create", name, "--candidates",
             made / "candidates.txt")
    self.run("dataset", "upload", name, made / "examples.jsonl", "--seal")

  def import_base(self, weights):
    if weights is None:
      weights = self.folder / "random.safetensors"
      subprocess.run([self.binaries / "attune-convert", "--init", "ViT-B-32",
                      "--seed", "0", weights], check=True,
                     stdout=subprocess.DEVNULL)
    self.run("model", "import", "base", weights)

  def align(self, objective, dataset, options, *more):
    arguments = ["job", "submit", "--dataset", dataset, "--model", "base",
                 "--objective", objective, "--output-model", objective,
                 "--batch-size", options.batch_size, "--watch", *more]
    if options.steps:
      arguments += ["--steps", options.steps]
    self.run(*arguments)

  def evaluate(self, model, dataset):
    """Figures over all examples, and skews, by name."""
    text = self.run("evaluate", "--dataset", dataset, "--model", model,
                    "--against", "base", "--csv")
    self.tables.append(text)
    return {row["figure"] + (" by " + row["attribute"]
                             if row["attribute"] else ""): row
            for row in csv.DictReader(io.StringIO(text))
            if not row["class_label"] and not row["group"]}


def number(text, form):
  """A figure that is absent stays empty."""
  return format(float(text), form) if text else ""


def print_table(results):
  """results: [(model, dataset, figures)]."""
  print(f"\n{'MODEL':8} {'DATASET':14} {'FIGURE':22} {'VALUE':>8} "
        f"{'95 %':>17} {'BASE':>8} {'P':>9}")
  for model, dataset, figures in results:
    for name, row in figures.items():
      interval = (f"[{number(row['low'], '.3f')}, {number(row['high'], '.3f')}]"
                  if row["low"] else "")
      print(f"{model:8} {dataset:14} {name:22} "
            f"{number(row['value'], '.4f'):>8} {interval:>17} "
            f"{number(row['against_value'], '.4f'):>8} "
            f"{number(row['p_value'], '.3g'):>9}")


# ---- the tables


def typographic(attune, options):
  """The names of the test sets; "train" is aligned on."""
  tests = {name: list(attacked_rows(getattr(options, name)))
           for name in ATTACKED_SETS if getattr(options, name)}
  if not tests and not options.clean:
    sys.exit("give --rta100, --paint, --disentangling or --clean")
  if not options.train and not options.rta100:
    sys.exit("give --train")
  for name, rows in tests.items():
    attune.upload(name, rows)
  if options.train:
    attune.attack_and_upload("train", options.train)
  else:
    print("no --train: aligning on the photos of --rta100 themselves, which "
          "shows the pipeline and no result", file=sys.stderr)
    attune.upload("train", pairs_of(tests["rta100"]))
  names = list(tests)
  for folder in options.clean:
    name = pathlib.Path(folder).name.lower()
    attune.attack_and_upload(name, folder, "--labelled")
    names.append(name)
  return names


def gender(attune, options):
  if not options.pairs:
    sys.exit("give --pairs")
  rows = list(gender_rows(options.pairs))
  attune.upload("pairs", rows)
  # The concept is to be unlearned: the caption with the other gender is
  # preferred.
  training = pairs_of(rows)
  for row in training:
    if "preferred" in row:
      row["preferred"], row["rejected"] = row["rejected"], row["preferred"]
  attune.upload("train", training)
  return ["pairs"]


def scam(options):
  """Two-way accuracy of 44 published models from their logits: the share of
  pictures whose object has a larger one than the written word."""
  if not options.logits:
    sys.exit("give --logits")
  prefix = str(pathlib.Path(options.logits) / "vlm_similarity_")
  columns = json.loads(
      pathlib.Path(prefix + "metadata.json").read_text())["columns"]
  index = json.loads(pathlib.Path(prefix + "index.json").read_text())
  content = pathlib.Path(prefix + "data.bin").read_bytes()
  rows, width = struct.unpack_from("<II", content)
  logits = array.array("f", content[8:8 + 4 * rows * width])
  if sys.byteorder == "big":
    logits.byteswap()
  variants = ("NoSCAM", "SCAM", "SynthSCAM")
  print(f"{'MODEL':36}", *(f"{name:>10}" for name in variants))
  for at in range(0, width, 2):
    right = {name: [] for name in variants}
    for picture in index:
      for name, variant in picture["variants"].items():
        first = variant["row_index"] * width + at
        right[name].append(logits[first] > logits[first + 1])
    print(f"{columns[at].removesuffix('_object_similarities'):36}",
          *(f"{100 * sum(right[name]) / len(right[name]):10.2f}"
            for name in variants))


def main():
  parser = argparse.ArgumentParser(
      description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
  parser.add_argument("table", choices=("typographic", "gender", "scam"))
  parser.add_argument("--weights", help="safetensors in OpenAI's layout "
                      "(attune-convert makes them);\ndefault: random")
  parser.add_argument("--objectives", default="dpo",
                      help="comma-separated; default dpo")
  parser.add_argument("--train", help="class folders of clean photos to "
                      "write words on and to align on")
  for name in ATTACKED_SETS:
    parser.add_argument(f"--{name}", help="photos label=X_text=Y.jpg")
  parser.add_argument("--clean", action="append", default=[],
                      help="class folders of clean photos, evaluated clean "
                      "and attacked; repeatable")
  parser.add_argument("--pairs", help="the PAIRS pictures")
  parser.add_argument("--logits", help="vlm_similarity_*, of SCAM's project "
                      "page")
  parser.add_argument("--batch-size", type=int, default=512)
  parser.add_argument("--steps", type=int, help="instead of 3 epochs")
  parser.add_argument("--csv", help="also write every figure of every "
                      "evaluation to this file")
  parser.add_argument("--server", help="HOST:PORT of a running server")
  parser.add_argument("--folder", help="where data and logs are left; default: "
                      "a temporary one")
  parser.add_argument("--binaries", default=ROOT / "build/release/bin")
  options = parser.parse_args()
  if options.table == "scam":
    scam(options)
    return
  with contextlib.ExitStack() as stack:
    folder = options.folder or stack.enter_context(
        tempfile.TemporaryDirectory(prefix="attune-reproduce-"))
    pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
    attune = stack.enter_context(Attune(options, pathlib.Path(folder)))
    # A concept is a matter of the head; the towers stay as they are.
    tests, more = {
        "typographic": (typographic, ()),
        "gender": (gender, ("--train", "head", "--kl-weight", 0)),
    }[options.table]
    tests = tests(attune, options)
    attune.import_base(options.weights)
    results = []
    for objective in options.objectives.split(","):
      attune.align(objective, "train", options, *more)
      results += [(objective, test, attune.evaluate(objective, test))
                  for test in tests]
    print_table(results)
    if options.csv:
      header, *rows = "".join(attune.tables).splitlines(keepends=True)
      pathlib.Path(options.csv).write_text(
          header + "".join(row for row in rows if row != header))


if __name__ == "__main__":
  main()
