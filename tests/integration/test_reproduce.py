"""deploy/reproduce makes its tables from folders, here small ones."""

import json
import struct
import subprocess
import sys

import pictures
from conftest import BINARIES, ROOT


def reproduce(*arguments):
  """The lines of the table, as lists of words."""
  done = subprocess.run(
      [sys.executable, ROOT / "deploy/reproduce/reproduce.py",
       *map(str, arguments)], capture_output=True, text=True, timeout=900)
  assert done.returncode == 0, done.stdout + done.stderr
  return [line.split() for line in done.stdout.splitlines() if line]


def tiny(tmp_path):
  path = tmp_path / "tiny.safetensors"
  subprocess.run([BINARIES / "attune-convert", "--init", "tiny", path],
                 check=True, capture_output=True)
  return path


def write(path, seed):
  path.parent.mkdir(parents=True, exist_ok=True)
  path.write_bytes(pictures.blob(seed))


def test_typographic_attacks(tmp_path):
  for number, name in enumerate(pictures.CLASSES):
    for copy in range(3):
      write(tmp_path / "photos" / name / f"{copy}.png", 10 * number + copy)
    other = pictures.CLASSES[number - 1]
    write(tmp_path / "rta" / f"label={name}_text={other}.png", 100 + number)
  table = reproduce(
      "typographic", "--binaries", BINARIES, "--weights", tiny(tmp_path),
      "--train", tmp_path / "photos", "--clean", tmp_path / "photos",
      "--rta100", tmp_path / "rta", "--objectives", "dpo,ce", "--batch-size",
      4, "--steps", 2, "--csv", tmp_path / "figures.csv")
  assert {tuple(row[:3]) for row in table[1:]} >= {
      (model, dataset, figure) for model in ("dpo", "ce")
      for dataset, figure in (
          ("rta100", "attacked_top1"), ("rta100", "pair_accuracy"),
          ("photos", "clean_top1"), ("photos", "attacked_top1"),
          ("photos", "attack_success"))}
  rows = (tmp_path / "figures.csv").read_text().splitlines()
  assert [row.startswith("job_id,") for row in rows].count(True) == 1
  # Figures of the classes too.
  assert any("a photo of a dog." in row for row in rows)


def test_gender(tmp_path):
  seed = 0
  for area in ("occupations", "status"):
    for scene in ("bank", "taxi"):
      for person in ("black_man", "black_woman", "white_man", "white_woman1"):
        seed += 1
        write(tmp_path / "pairs" / area / scene / f"{person}.png", seed)
  table = reproduce("gender", "--binaries", BINARIES, "--weights",
                    tiny(tmp_path), "--pairs", tmp_path / "pairs",
                    "--batch-size", 8, "--steps", 2)
  figures = {" ".join(row[2:-4]) for row in table[1:]}
  assert any(name.startswith("clean_top1") for name in figures)
  assert any(name.startswith("skew_gap by gender") for name in figures)


def test_scam(tmp_path):
  # Two models, two photos in three variants.
  logits = [[2, 1, 0, 1], [2, 1, 2, 1], [0, 1, 0, 1],
            [0, 1, 0, 1], [2, 1, 2, 1], [0, 1, 0, 1]]
  (tmp_path / "vlm_similarity_data.bin").write_bytes(
      struct.pack("<II24f", 6, 4, *(v for row in logits for v in row)))
  (tmp_path / "vlm_similarity_metadata.json").write_text(json.dumps({
      "columns": [f"{model}_{kind}_similarities" for model in ("RN50", "B32")
                  for kind in ("object", "attack")]}))
  (tmp_path / "vlm_similarity_index.json").write_text(json.dumps([
      {"variants": {name: {"row_index": 3 * photo + at} for at, name in
                    enumerate(("SCAM", "NoSCAM", "SynthSCAM"))}}
      for photo in range(2)]))
  assert reproduce("scam", "--logits", tmp_path)[1:] == [
      ["RN50", "100.00", "50.00", "0.00"], ["B32", "100.00", "0.00", "0.00"]]
