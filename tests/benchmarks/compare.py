"""Runs Attune and the reference programs in turns and compares the medians;
called by run.sh, which says how."""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import reference_step  # noqa: E402
import text_image_reference  # noqa: E402

QUICK_TOWER = dict(width=128, layers=3, heads=4, image=48, patch=12,
                   text_width=64, text_layers=2, text_heads=4, embedding=64)
BATCH = 8
START, END, STOP = 49406, 49407, 269
# "a photo of a", and openings as long as those of CLIP's seven best templates.
A_PHOTO_OF_A = [320, 1125, 539, 320]
TEMPLATES = [[32364, 539, 607], [320, 2103, 1125, 539, 518],
             [320, 4383, 539, 518, 3638], [320, 1125, 539, 518, 3638],
             [320, 8220, 530, 320, 1455, 11], [794, 539, 518],
             [320, 1125, 539, 518, 2442]]
NAMES = ["published_step", "published_step_77", "frozen_text_step",
         "last_2_step", "zero_shot_texts", "embed_image_32", "optimizer_pass",
         "decode_resize", "tokenize", "peak_memory"]


def rows_of(texts):
  rows = torch.zeros(len(texts), 77, dtype=torch.int64)
  for row, text in zip(rows, texts):
    row[:len(text)] = torch.tensor(text)
  return rows


def class_names(count):
  """Token lists of made-up names of one to three tokens, all distinct."""
  generator = torch.Generator().manual_seed(1)
  names = {}
  while len(names) < count:
    length = 1 + len(names) % 3
    name = torch.randint(1000, 40000, (length,), generator=generator).tolist()
    names[tuple(name)] = None
  return [list(name) for name in names]


class Benchmarks:

  def __init__(self, build, threads, quick, folder):
    self.build = build
    self.threads = threads
    self.quick = quick
    self.folder = folder
    self.tower = QUICK_TOWER if quick else reference_step.VIT_B_32
    self.rounds = 1 if quick else 3
    self.environment = {**os.environ, "OMP_NUM_THREADS": str(threads),
                        "OMP_WAIT_POLICY": "passive",
                        "HF_HUB_OFFLINE": "1"}
    self.model = folder / "model.safetensors"
    self.run([build / "bin/attune-convert", "--init",
              "tiny" if quick else "ViT-B-32", self.model])
    self.steps = {}

  def run(self, command):
    done = subprocess.run(list(map(str, command)), capture_output=True,
                          text=True, env=self.environment)
    if done.returncode != 0:
      sys.exit(f"{' '.join(map(str, command))}\n{done.stderr}")
    return done.stdout

  def ours(self, *arguments):
    return json.loads(self.run(
        [self.build / "benchmarks/step_benchmark", *arguments]))

  def theirs(self, case, inputs, rounds):
    return json.loads(self.run(
        [sys.executable, HERE / "reference_step.py", case, inputs, "--rounds",
         rounds, "--threads", self.threads, "--tower",
         json.dumps(self.tower)]).splitlines()[-1])

  def in_turns(self, ours, theirs):
    """Both sides' results of `rounds` turns."""
    results = [(ours(), theirs()) for _ in range(self.rounds)]
    return [r[0] for r in results], [r[1] for r in results]

  def save(self, name, tensors):
    path = self.folder / f"{name}.safetensors"
    save_file(tensors, path)
    return path

  def pixels(self, count):
    side = self.tower["image"]
    return torch.randint(0, 256, (count, side, side, 3), dtype=torch.uint8)

  def row(self, name, ours, theirs, flops=None, unit="s"):
    value, peer = statistics.median(ours), statistics.median(theirs)
    return {"name": name, "value": value, "unit": unit, "peer_value": peer,
            "ratio": peer / value,
            "flops_per_second": flops / value if flops else None,
            "threads": self.threads, "precision": "fp32"}

  # Multiplications and additions of a forward pass over one tower's tokens,
  # the last block for one token of each sequence alone.

  def image_flops(self):
    t = self.tower
    tokens = (t["image"] // t["patch"])**2 + 1
    return self.block_flops(t["width"], t["layers"], tokens, tokens) + (
        2 * (tokens - 1) * 3 * t["patch"]**2 * t["width"])

  def text_flops(self, rows, attended):
    t = self.tower
    return self.block_flops(t["text_width"], t["text_layers"], rows, attended)

  @staticmethod
  def block_flops(width, layers, rows, attended):
    # Of the 12 parts of a block's products the last one needs 2.
    return rows * ((layers - 1 + 2 / 12) * 24 * width**2 +
                   (layers - 1) * 4 * attended * width)

  def step_inputs(self):
    prompts = [[START, *A_PHOTO_OF_A, *name, STOP, END]
               for name in class_names(100)]
    pairs = 2 * BATCH
    generator = torch.Generator().manual_seed(2)
    preferred = torch.randint(0, 100, (pairs,), generator=generator)
    rejected = (preferred + torch.randint(1, 100, (pairs,),
                                          generator=generator)) % 100
    return prompts, self.save("step", {
        "pixels": self.pixels(2 * pairs), "tokens": rows_of(prompts),
        "pairs": torch.stack([torch.arange(pairs), preferred, rejected], 1),
        "clean": torch.arange(pairs, 2 * pairs),
        "candidates": torch.arange(100)})

  def published(self, case, trained="all"):
    """Our steps' and the published program's results, measured once."""
    key = (case, trained)
    if key not in self.steps:
      _, inputs = self.step_inputs()
      options = {"objective": "dpo",
                 "options": {"beta": 1.0, "label_smoothing": 0.0},
                 "kl_weight": 1.0, "batch_size": BATCH, "steps": 6,
                 "trained": trained}
      self.steps[key] = self.in_turns(
          lambda: self.ours("train", self.model, inputs, json.dumps(options)),
          lambda: self.theirs(case, inputs, 1 if self.quick else 2))
    return self.steps[key]

  def step_rows(self, name, case, trained="all"):
    prompts, _ = self.step_inputs()
    ours, theirs = self.published(case, trained)
    peer = [s for result in theirs for s in result["seconds"]]
    # Two steps an epoch: the first epoch computes the reference's embeddings.
    first = [s for result in ours for s in result["seconds"][:2]]
    later = [s for result in ours for s in result["seconds"][2:]]
    prefixes = {tuple(p[:n]) for p in prompts for n in range(1, len(p) + 1)}
    flops = None
    if trained == "all":
      flops = 3 * (2 * BATCH * self.image_flops() +
                   self.text_flops(len(prefixes), 256))
    return [self.row(name, later, peer, flops),
            self.row(f"{name}_first_epoch", first, peer)]

  def published_step(self):
    return self.step_rows("published_step", "published_step")

  def published_step_77(self):
    return self.step_rows("published_step_77", "published_step_77")

  def frozen_text_step(self):
    return self.step_rows("frozen_text_step", "published_step", "image")

  def last_2_step(self):
    return self.step_rows("last_2_step", "published_step", "last:2")

  def peak_memory(self):
    ours, theirs = self.published("published_step")
    return [self.row("peak_memory", [r["peak_bytes"] for r in ours],
                     [r["peak_bytes"] for r in theirs], unit="bytes")]

  def zero_shot_texts(self):
    texts = [[START, *template, *name, STOP, END]
             for name in class_names(20 if self.quick else 1000)
             for template in TEMPLATES]
    inputs = self.save("texts", {"tokens": rows_of(texts)})
    ours, theirs = self.in_turns(
        lambda: self.ours("texts", self.model, inputs, 2),
        lambda: self.theirs("zero_shot_texts", inputs, 1))
    prefixes = {tuple(t[:n]) for t in texts for n in range(1, len(t) + 1)}
    return [self.row("zero_shot_texts",
                     [r["seconds"][-1] for r in ours],
                     [r["seconds"][-1] for r in theirs],
                     self.text_flops(len(prefixes), 256))]

  def embed_image_32(self):
    inputs = self.save("images", {"pixels": self.pixels(32)})
    ours, theirs = self.in_turns(
        lambda: self.ours("images", self.model, inputs, 4),
        lambda: self.theirs("embed_image_32", inputs, 3))
    return [self.row("embed_image_32",
                     [s for r in ours for s in r["seconds"][1:]],
                     [s for r in theirs for s in r["seconds"]],
                     32 * self.image_flops())]

  def optimizer_pass(self):
    inputs = self.save("none", {"tokens": torch.zeros(1, 1)})
    ours, theirs = self.in_turns(
        lambda: self.ours("optimizer", self.model, 6),
        lambda: self.theirs("optimizer_pass", inputs, 5))
    return [self.row("optimizer_pass",
                     [s for r in ours for s in r["seconds"][1:]],
                     [s for r in theirs for s in r["seconds"]])]

  def decode_resize(self):
    shared = pathlib.Path(os.environ.get(
        "ATTUNE_SHARED_DATA", HERE.parents[2] / "shared/data"))
    photos = shared / "photos/images"
    if not photos.is_dir():
      print("decode_resize is left out: ATTUNE_SHARED_DATA has no photos",
            file=sys.stderr)
      return []
    program = self.build / "benchmarks/text_image_benchmark"
    row = text_image_reference.decode_resize(program, photos)
    return [{**row, "name": "decode_resize"}]

  def tokenize(self):
    cache = os.environ.get("ATTUNE_CACHE_DIR",
                           os.path.expanduser("~/.cache/attune"))
    return [text_image_reference.tokenize(
        self.build / "benchmarks/text_image_benchmark",
        f"{cache}/vocabulary/bpe_simple_vocab_16e6.txt.gz")]


def print_table(rows):
  print(f"{'':30} {'ours':>12} {'reference':>12} {'ratio':>8} {'GFLOP/s':>9}")
  for row in rows:
    flops = row["flops_per_second"]
    print(f"{row['name']:30} {row['value']:10.4g} {row['unit']:>5}"
          f" {row['peer_value']:10.4g} {row['ratio']:6.2f} x"
          f" {'' if flops is None else f'{flops / 1e9:9.1f}'}")


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument("--build", type=pathlib.Path, required=True)
  parser.add_argument("--only", choices=NAMES, action="append")
  parser.add_argument("--json", type=pathlib.Path)
  parser.add_argument("--quick", action="store_true")
  arguments = parser.parse_args()
  os.environ["TOKENIZERS_PARALLELISM"] = "false"
  threads = int(os.environ.get("ATTUNE_THREADS", os.cpu_count()))
  torch.manual_seed(0)
  rows = []
  with tempfile.TemporaryDirectory() as folder:
    benchmarks = Benchmarks(arguments.build.resolve(), threads,
                            arguments.quick, pathlib.Path(folder))
    for name in arguments.only or NAMES:
      rows += getattr(benchmarks, name)()
  if arguments.json:
    arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
  else:
    print_table(rows)


if __name__ == "__main__":
  main()
