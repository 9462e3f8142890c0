"""The README's commands, in order, through real processes."""

import csv
import json
import re

import pytest

import pictures
from conftest import shared_data


def test_the_whole_path_from_pictures_to_a_served_model(attune, tmp_path):
  attune.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  candidates = tmp_path / "prompts.txt"
  candidates.write_text("".join(pictures.prompt(word) + "\n"
                                for word in pictures.CLASSES))
  attune.run("dataset", "create", "rta", "--candidates", candidates)
  attune.run("dataset", "upload", "rta", examples, "--seal")
  dataset = attune.json("dataset", "show", "rta")
  assert dataset["state"] == "DATASET_STATE_SEALED"
  assert (dataset["pair_count"], dataset["clean_count"],
          dataset["labelled_count"]) == ("16", "16", "8")
  assert re.fullmatch("[0-9a-f]{64}", dataset["digest"])

  attune.run("job", "submit", "--dataset", "rta", "--model", "base",
             "--objective", "dpo", "--beta", "1", "--kl-weight", "0",
             "--epochs", "30", "--batch-size", "16", "--learning-rate", "1e-3",
             "--output-model", "robust", "--watch")
  job = json.loads(attune.run("--output", "json", "job",
                              "list").splitlines()[0])
  if "jobs" in job:
    job = job["jobs"][0]
  assert job["state"] == "JOB_STATE_SUCCEEDED"
  assert job["output_versions"] == ["robust:1", "robust:2"]

  steps = list(csv.DictReader(
      attune.run("job", "metrics", job["id"], "--csv").splitlines()))
  assert len(steps) == 30
  first, last = steps[0], steps[-1]
  assert float(last["loss"]) < float(first["loss"])
  assert float(last["pair_accuracy"]) == 1.0

  attune.run("model", "alias", "robust", "stable", "2")
  shown = attune.run("model", "show", "robust")
  assert "stable" in shown
  picture = tmp_path / "pictures/p0.png"
  answer = attune.json("classify", picture, "--model", "robust@stable",
                       "--labels", ",".join(pictures.CLASSES), "--template",
                       "a photo of a {}.")
  scores = answer["classifications"][0]["scores"]
  assert scores[0]["label"] == "dog"
  assert sum(score["probability"] for score in scores) == pytest.approx(1, abs=1e-5)

  embedded = attune.json("embed", "image", picture, "--model", "robust@stable")
  values = embedded["embeddings"][0]["values"]
  assert len(values) == 64
  assert sum(v * v for v in values) == pytest.approx(1, abs=1e-5)
  text = attune.json("embed", "text", "a photo of a dog.", "--model", "base")
  assert len(text["embeddings"][0]["values"]) == 64

  figures = attune.json("evaluate", "--dataset", "rta", "--model",
                        "robust@stable", "--against", "base")
  by_name = {figure["name"]: figure for figure in figures["figures"]}
  assert by_name["pair_accuracy"]["value"] == 1.0
  assert by_name["pair_accuracy"]["count"] == "16"
  assert by_name["attacked_top1"]["count"] == "8"
  assert "clean_top1" not in by_name  # no labelled row without an attack
  before = figures["against_figures"]
  before = {figure["name"]: figure["value"] for figure in before}
  compared = {c["difference"]["name"]: c for c in figures["comparisons"]
              if not c["difference"]["class_label"]}
  assert set(compared) == set(by_name)
  for name, comparison in compared.items():
    difference = by_name[name]["value"] - before[name]
    assert comparison["difference"]["value"] == pytest.approx(difference)
    assert comparison["difference"]["low"] <= difference + 1e-12
    assert comparison["difference"]["high"] >= difference - 1e-12
    assert 0 <= comparison["p_value"] <= 1
  job = figures["job_id"]
  rows = list(csv.DictReader(
      attune.run("evaluation", "show", job, "--csv").splitlines()))
  whole = {row["figure"]: row for row in rows if not row["class_label"]}
  assert float(whole["pair_accuracy"]["value"]) == 1.0
  assert float(whole["pair_accuracy"]["against_value"]) == pytest.approx(
      before["pair_accuracy"])
  classes = [row for row in rows if row["class_label"] and
             row["figure"] == "pair_accuracy"]
  assert sum(int(row["count"]) for row in classes) == 16
  listed = attune.json("evaluation", "list", "--model", "robust")
  assert job in [each["job_id"] for each in listed["evaluations"]]

  # The export is a file that imports to the same tensors.
  exported = tmp_path / "robust.safetensors"
  attune.run("model", "export", "robust@stable", "--out", exported)
  attune.run("model", "import", "again", exported)
  digests = {
      name: attune.json("model", "show", name)["versions"][0]["digest"]
      for name in ("robust", "again")
  }
  assert digests["robust"] == digests["again"]

  attune.run("model", "delete", "again")
  attune.run("dataset", "delete", "rta")
  attune.run("dataset", "show", "rta", code=1)
  assert "NOT_FOUND" in attune.errors


def tensor_bytes(path):
  """Name to bytes of the tensors of a safetensors file."""
  data = path.read_bytes()
  size = int.from_bytes(data[:8], "little")
  header = json.loads(data[8:8 + size])
  header.pop("__metadata__", None)
  return {
      name: data[8 + size + entry["data_offsets"][0]:8 + size +
                 entry["data_offsets"][1]]
      for name, entry in header.items()
  }


def test_a_frozen_tower_adds_no_bytes(attune, tmp_path):
  attune.make_tiny_model("base")
  examples = pictures.write_examples(tmp_path / "pictures")
  attune.run("dataset", "create", "rta")
  attune.run("dataset", "upload", "rta", examples, "--seal")
  submit = [
      "job", "submit", "--dataset", "rta", "--model", "base", "--kl-weight", "0",
      "--epochs", "2", "--batch-size", "16", "--learning-rate", "1e-3",
      "--no-average", "--precision", "auto", "--output-model", "robust",
      "--watch"
  ]
  attune.run(*submit, "--train", "last:99", code=1)
  assert "train.trained_part.last_blocks" in attune.errors
  attune.run(*submit, "--train", "image")
  version = attune.json("model", "show", "robust")["versions"][0]
  for name in ("base", "robust"):
    attune.run("model", "export", name, "--out", tmp_path / name)
  base, robust = tensor_bytes(tmp_path / "base"), tensor_bytes(tmp_path / "robust")
  changed = {name for name in base if base[name] != robust[name]}
  assert changed == {
      name for name in base
      if name.startswith("visual.") or name == "logit_scale"
  }
  assert int(version["own_size_bytes"]) == sum(
      len(robust[name]) for name in changed)


def test_rta100_photos_train_to_a_pair_accuracy_above_nine_tenths(
    attune, tmp_path):
  data = shared_data()
  if data is None:
    pytest.skip("the RTA-100 photos are not here: set ATTUNE_SHARED_DATA")
  rows = []
  for path in sorted((data / "rta100").glob("*.jpg")):
    label, word = re.fullmatch(r"label=(.*)_text=(.*)", path.stem).groups()
    label, word = pictures.prompt(label), pictures.prompt(word)
    if label == word:
      continue
    rows.append({"image": str(path), "preferred": label, "rejected": word})
    rows.append({"image": str(path), "label": label, "attack": word})
  assert len(rows) > 300
  examples = tmp_path / "rta.jsonl"
  examples.write_text("".join(json.dumps(row) + "\n" for row in rows))
  attune.make_tiny_model("base")
  attune.run("dataset", "create", "rta")
  attune.run("dataset", "upload", "rta", examples, "--seal")
  attune.run("job", "submit", "--dataset", "rta", "--model", "base",
             "--objective", "dpo", "--kl-weight", "0", "--epochs", "40",
             "--batch-size", "32", "--learning-rate", "2e-3", "--no-average",
             "--output-model", "robust", "--watch")
  result = attune.json("evaluate", "--dataset", "rta", "--model", "robust",
                       "--against", "base")
  after = {figure["name"]: figure for figure in result["figures"]}
  before = {figure["name"]: figure for figure in result["against_figures"]}
  assert before["pair_accuracy"]["value"] < 0.8
  assert after["pair_accuracy"]["value"] > 0.9
  assert after["attacked_top1"]["count"] == str(len(rows) // 2)
