"""Runs that must come to the same, and margins that the formulas name."""

import math
import uuid

import pytest

from attune.v1 import job_service_pb2 as jobs_pb


@pytest.fixture(scope="module")
def start(lab):
  """A random tiny model and what it is trained on: (base, dataset)."""
  lab.service.make_tiny_model("random")
  data = lab.dataset("few", [("pairs", 64, 1, None), ("clean", 64, 2, None)])
  return {"base": "random", "dataset": data}


def run(lab, objective, **spec):
  """Starts a job; a function that waits for its metric rows."""
  optimizer = jobs_pb.Optimizer(kind=jobs_pb.Optimizer.KIND_ADAMAX,
                                learning_rate=1e-3)
  future = lab.start(lab.run_job, train=jobs_pb.TrainSpec(
      **objective, optimizer=optimizer, average=False,
      output_model=f"few-{uuid.uuid4().hex[:12]}", **spec))
  return lambda: future.result()[1]


OBJECTIVES = {
    "dpo": {"dpo": jobs_pb.DpoObjective(kl_weight=0.3)},
    "ipo": {"ipo": jobs_pb.IpoObjective(beta=0.1, kl_weight=0.3)},
    "kto": {"kto": jobs_pb.KtoObjective(kl_weight=0.3)},
    "ce": {"ce": jobs_pb.CeObjective(kl_weight=0.3)},
}


@pytest.fixture(scope="module")
def accumulated(lab, start):
  """Of each objective the rows of 8 × 1 and of 1 × 8, all run at once."""
  steps = 12
  pending = {
      name: [run(lab, objective, batch_size=8, clean_batch_size=8,
                 micro_batch_size=micro, steps=steps, **start)
             for micro in (0, 1)]
      for name, objective in OBJECTIVES.items()
  }
  return {name: [rows() for rows in both] for name, both in pending.items()}


@pytest.mark.parametrize("name", OBJECTIVES)
def test_eight_at_once_are_one_at_a_time_accumulated(accumulated, name):
  whole, parts = accumulated[name]
  assert len(whole) == len(parts) == 12
  # fp32 in another order: the gap grows with the steps.
  for one, other in zip(whole, parts):
    assert other.loss == pytest.approx(one.loss, rel=2e-3, abs=2e-4)
    assert other.kl == pytest.approx(one.kl, rel=2e-3, abs=2e-5)
  # That the runs have moved, so that equal is not equal to nothing.
  assert abs(whole[-1].loss - whole[0].loss) > 0.01


def test_ktos_z_is_over_the_whole_effective_batch(accumulated):
  """One picture at a time has a z of its own, unless z is the whole step's;
  once the KL is not 0, the losses would differ."""
  whole, parts = accumulated["kto"]
  assert whole[-1].kl > 0.01
  assert parts[-1].objective_loss == pytest.approx(whole[-1].objective_loss,
                                                   rel=2e-3)


@pytest.fixture(scope="module")
def margins(lab, start):
  """Margins at the end of long runs on 8 pairs, all run at once."""
  few = lab.dataset("eight", [("pairs", 8, 5, None)])
  long = {"base": start["base"], "dataset": few, "batch_size": 8,
          "steps": 400}
  pending = {
      ("ipo", beta): run(
          lab, {"ipo": jobs_pb.IpoObjective(beta=beta, kl_weight=0)}, **long)
      for beta in (0.1, 0.5)
  }
  for beta, smoothing in ((1.0, 0.1), (0.5, 0.2)):
    pending["dpo", beta, smoothing] = run(
        lab, {"dpo": jobs_pb.DpoObjective(beta=beta, kl_weight=0,
                                          label_smoothing=smoothing)}, **long)
  return {key: rows()[-1].margin for key, rows in pending.items()}


@pytest.mark.parametrize("beta", (0.1, 0.5))
def test_ipos_margin_converges_to_half_of_one_over_beta(margins, beta):
  assert margins["ipo", beta] == pytest.approx(1 / (2 * beta), rel=0.02)


@pytest.mark.parametrize("beta, smoothing", ((1.0, 0.1), (0.5, 0.2)))
def test_smoothed_dpos_margin_converges_to_the_log_odds_over_beta(
    margins, beta, smoothing):
  expected = math.log((1 - smoothing) / smoothing) / beta
  assert margins["dpo", beta, smoothing] == pytest.approx(expected, rel=0.02)
