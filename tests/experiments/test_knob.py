"""A concept on a knob: colour on pre-trained bases, gender on photos."""

import json
import math

import pytest

from attune.v1 import job_service_pb2 as jobs_pb
import attune_service as service
import knob
from intervals import Claim, Mean


@pytest.fixture(scope="module")
def curves(lab, full, study):
  """The curve of each seed."""
  seeds = study.seeds if full else (study.short_seed,)
  pending = {seed: lab.start(knob.colour_curve, lab, seed) for seed in seeds}
  made = {seed: curve.result() for seed, curve in pending.items()}
  study.add_knob(made)
  return made


def test_the_margin_falls_over_the_whole_knob(curves):
  for seed, curve in curves.items():
    margins = [point["margin"] for point in curve]
    assert [point["t"] for point in curve] == knob.SETTINGS
    assert margins == sorted(margins, reverse=True), (seed, margins)
    # From plainly more to plainly less than the base's.
    base = margins[knob.SETTINGS.index(0)]
    assert margins[0] > 2 * base and margins[-1] < base / 2, (seed, margins)


def test_shapes_are_known_as_before_from_0_to_2(curves, full, study):
  """Within a point of t = 0 at every t, as a mean over the seeds."""
  for t in knob.SETTINGS:
    if t <= 0:
      continue
    at = knob.SETTINGS.index(t)
    zero = knob.SETTINGS.index(0)
    change = Mean.of(curve[at]["class_top1"] - curve[zero]["class_top1"]
                     for curve in curves.values())
    if full:
      claim = study.claim(f"class accuracy at t = {t:g} within a point of "
                          "t = 0", change, at_least=-0.01)
      assert claim.verdict != "fails"
    else:
      # One small base: a few of its test pictures may change their answer.
      assert abs(change.value) <= 0.03, t


def test_a_knob_of_0_is_the_base(lab, curves):
  seed = next(iter(curves))
  images = knob.pictures(lab, seed, "shapes", 50)
  base = lab.embed(lab.base(seed), images)
  zero = lab.embed(knob.head(lab, seed), images, t=0)
  trained = lab.embed(knob.head(lab, seed), images)
  assert largest_gap(base, zero) <= 1e-6
  assert largest_gap(base, trained) > 1e-2


def largest_gap(one, other):
  return max(abs(a - b) for row, its in zip(one, other)
             for a, b in zip(row, its))


def test_the_sweep_of_evaluate_is_that_of_the_server(lab, curves):
  """`attune evaluate --t-sweep`: an evaluation for every t, as ClassifyImages
  answers, and at t = 0 as the base."""
  seed = next(iter(curves))
  version = knob.head(lab, seed)
  lines = lab.service.run(
      "--output", "json", "evaluate", "--dataset", knob.colours(lab, seed),
      "--model", version, "--t-sweep", "-1:2:1").splitlines()
  evaluations = [json.loads(line) for line in lines]
  assert [evaluation["t"] for evaluation in evaluations] == [-1, 0, 1, 2]
  for evaluation in evaluations:
    point = curves[seed][knob.SETTINGS.index(evaluation["t"])]
    figures = {f["name"]: f for f in evaluation["figures"]}
    told_apart = figures["pair_accuracy"]
    assert told_apart["low"] <= told_apart["value"] <= told_apart["high"]
    # Rounding may turn a picture that lies on the fence.
    assert told_apart["value"] == pytest.approx(point["told_apart"], abs=0.01)
  zero = evaluations[1]
  assert zero["figures"] == zero["against_figures"]
  assert all(int(c["only_model"]) == int(c["only_against"]) == 0
             for c in zero["comparisons"])
  # The base has no knob.
  lab.service.run("evaluate", "--dataset", knob.colours(lab, seed), "--model",
                  lab.base(seed), "--t-sweep", "-1:1:1", code=1)
  assert "NO_LINEAR_HEAD" in lab.service.errors


def test_gender_on_photos_runs(lab):
  """PAIRS photos on random weights: what comes out means nothing."""
  data = service.shared_data()
  if data is None:
    pytest.skip("the PAIRS photos are not here: set ATTUNE_SHARED_DATA")
  rows = []
  for path in sorted((data / "pairs").rglob("*.png")):
    gender = path.stem.split("_")[1]
    other = "woman" if gender == "man" else "man"
    texts = [f"a photo of a {who}" for who in (other, gender)]
    rows.append({"image": str(path), "preferred": texts[0],
                 "rejected": texts[1], "attributes": {"gender": gender}})
    rows.append({"image": str(path)})
  assert len(rows) >= 100
  examples = lab.folder / "gender.jsonl"
  examples.write_text("".join(json.dumps(row) + "\n" for row in rows))
  lab.service.run("dataset", "create", "gender")
  lab.service.run("dataset", "upload", "gender", examples, "--seal")
  lab.service.make_tiny_model("no-weights")
  job, steps = lab.run_job(train=jobs_pb.TrainSpec(
      dataset="gender", base="no-weights", output_model="gender-knob",
      dpo=jobs_pb.DpoObjective(beta=1, kl_weight=0.1), steps=50,
      batch_size=len(rows), average=False,
      trained_part=jobs_pb.TrainedPart(kind=jobs_pb.TrainedPart.KIND_HEAD),
      optimizer=jobs_pb.Optimizer(kind=jobs_pb.Optimizer.KIND_ADAMAX,
                                  learning_rate=1e-2)))
  assert len(steps) == 50 and all(math.isfinite(row.loss) for row in steps)
  lines = lab.service.run(
      "--output", "json", "evaluate", "--dataset", "gender", "--model",
      job.output_versions[0], "--t-sweep", "-1:2:1.5", "--group-by",
      "gender").splitlines()
  curve = [json.loads(line) for line in lines]
  assert [point["t"] for point in curve] == [-1, 0.5, 2]
  for point in curve:
    gaps = [f["value"] for f in point["part_figures"]
            if f["name"] == "skew_gap"]
    assert len(gaps) == 1 and 0 <= gaps[0] <= 1
