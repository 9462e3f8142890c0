"""The colour concept of demo.md's setting: red and blue on a knob."""

import json
import shutil
import subprocess

from attune_service import BINARIES
from attune.v1 import job_service_pb2 as jobs_pb
from lab import CLASSES, prompt

SETTINGS = [-1, -0.75, -0.5, -0.25, 0, 0.25, 0.5, 0.75, 1, 1.25, 1.5, 1.75, 2]
TESTS = 500
KL_WEIGHT = 0.1
PENALTY = 0.01
LEARNING_RATE = 1e-2
STEPS = 500
PAIRS = 1024


def coloured(color, name):
  return f"a photo of a {color} {name}"


def head(lab, seed):
  """The version that the base's colour head makes."""
  return lab.once(("head", seed), lambda: _train(lab, seed))


def _train(lab, seed):
  base = lab.base(seed)
  first = 1000 * seed + 100
  data = lab.dataset(f"colour-{seed}", [
      ("colour-pairs", PAIRS, first, None),
      ("colour-clean", PAIRS, first + 1, None)])
  job, _ = lab.run_job(train=jobs_pb.TrainSpec(
      dataset=data, base=base, output_model=f"colour-knob-{seed}",
      dpo=jobs_pb.DpoObjective(beta=1, kl_weight=KL_WEIGHT), steps=STEPS,
      batch_size=PAIRS, average=False, seed=seed,
      trained_part=jobs_pb.TrainedPart(kind=jobs_pb.TrainedPart.KIND_HEAD),
      head=jobs_pb.LinearHead(penalty=PENALTY),
      optimizer=jobs_pb.Optimizer(kind=jobs_pb.Optimizer.KIND_ADAMAX,
                                  learning_rate=LEARNING_RATE)))
  return job.output_versions[0]


def colours(lab, seed):
  """A dataset of red and blue objects, preferred their own colour."""
  return lab.dataset(f"colours-{seed}",
                     [("colours", TESTS, 1000 * seed + 102, None)])


def rows(lab, seed, kind, count):
  """Test pictures: (bytes, row of draw_scenes) each."""
  folder = lab.folder / f"{kind}-{seed}-{count}"
  subprocess.run([BINARIES / "draw_scenes", kind, str(count),
                  str(1000 * seed + (102 if kind == "colours" else 103)),
                  folder], check=True)
  made = []
  for line in (folder / "examples.jsonl").read_text().splitlines():
    row = json.loads(line)
    made.append(((folder / row["image"]).read_bytes(), row))
  shutil.rmtree(folder)
  return made


def pictures(lab, seed, kind, count):
  return [image for image, _ in rows(lab, seed, kind, count)]


def colour_curve(lab, seed):
  """Points over SETTINGS: the mean margin between the right and the wrong one
  of red and blue in logits, the share told apart, and the share of shapes, of
  all colours, that is known."""
  recipe = [lab.base_key(seed), SETTINGS, TESTS, KL_WEIGHT, PENALTY,
            LEARNING_RATE, STEPS, PAIRS]
  return lab.remembered("knob", recipe, lambda: _curve(lab, seed))


def _curve(lab, seed):
  version = head(lab, seed)
  red_or_blue = rows(lab, seed, "colours", TESTS)
  shapes = rows(lab, seed, "shapes", TESTS)
  texts = [coloured(color, name) for name in CLASSES
           for color in ("red", "blue")]
  plain = [prompt(name) for name in CLASSES]
  curve = []
  for t in SETTINGS:
    logits = lab.classify(version, [image for image, _ in red_or_blue], texts,
                          t)
    margins = [
        scores[texts.index(row["preferred"])] -
        scores[texts.index(row["rejected"])]
        for scores, (_, row) in zip(logits, red_or_blue)
    ]
    answers = lab.classify(version, [image for image, _ in shapes], plain, t)
    right = [
        scores.index(max(scores)) == plain.index(row["label"])
        for scores, (_, row) in zip(answers, shapes)
    ]
    curve.append({
        "t": t,
        "margin": sum(margins) / len(margins),
        "told_apart": sum(margin > 0 for margin in margins) / len(margins),
        "class_top1": sum(right) / len(right),
    })
  return curve
