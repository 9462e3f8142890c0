"""What aligning does to a CLIP that words fool: the claims, each with its
interval over the pre-training seeds."""

import pytest

from intervals import Mean
from lab import Recipe
from study import change

PREFERENCES = ("dpo", "kto")


# ---- the short form: one small base, and only what it can show


@pytest.fixture(scope="module")
def small(lab, study):
  recipe = Recipe("dpo", 2e-3, beta=1, kl_weight=0.3)
  return lab.aligned(study.short_seed, recipe)


def test_a_small_base_is_fooled_less_after_dpo(small):
  base, model = small["base"], small["model"]
  assert base["clean_seen"] > 0.5, "the base must see"
  assert base["fooled_seen"] > 0.3, "the base must be fooled by words"
  assert model["fooled_seen"] < 0.7 * base["fooled_seen"]
  assert model["attacked_seen"] > base["attacked_seen"] + 0.1
  assert model["clean_seen"] > base["clean_seen"] - 0.05


# ---- the full form


def relative(result, figure):
  return result["model"][figure] / result["base"][figure]


def ask(study, method, what, value, **bound):
  """Asks a claim of each seed's result; fails only if it is excluded."""
  mean = Mean.of(value(result) for result in study.method(method))
  claim = study.claim(f"{method}: {what}", mean, **bound)
  assert claim.verdict != "fails", claim


full = pytest.mark.full


@full
@pytest.mark.parametrize("method", PREFERENCES)
def test_attack_success_on_seen_words_is_halved(study, method):
  ask(study, method, "attack success on seen words, as a part of the base's",
      lambda r: relative(r, "fooled_seen"), at_most=0.5)


@full
@pytest.mark.parametrize("method", PREFERENCES)
def test_attack_success_on_unseen_words_falls_by_ten_points(study, method):
  ask(study, method, "attack success on unseen classes and words, change",
      lambda r: change(r, "fooled_unseen"), at_most=-0.1)


@full
@pytest.mark.parametrize("method", PREFERENCES)
@pytest.mark.parametrize("classes, gain", (("seen", 0.2), ("unseen", 0.1)))
def test_attacked_accuracy_rises(study, method, classes, gain):
  ask(study, method, f"attacked accuracy, {classes}, change",
      lambda r: change(r, f"attacked_{classes}"), at_least=gain)


@full
@pytest.mark.parametrize("method", PREFERENCES)
def test_clean_accuracy_over_all_classes_falls_by_two_points_at_most(
    study, method):
  ask(study, method, "clean accuracy over all classes, change",
      lambda r: change(r, "clean"), at_least=-0.02)


def forgetting(result):
  """Of held-out classes and of reading, the worse."""
  return min(change(result, "clean_unseen"), change(result, "reads"))


@full
@pytest.mark.parametrize("method", PREFERENCES)
def test_ce_forgets_far_more_at_the_same_attacked_accuracy(study, method):
  """The point of CE's curve over learning rates whose attacked accuracy (seen)
  is next above the method's, or its highest: how much more it forgets."""
  curve = [results for _, results in study.series["ce by learning rate"]]
  gaps = []
  for seed, result in enumerate(study.method(method)):
    points = sorted((run[seed] for run in curve),
                    key=lambda r: r["model"]["attacked_seen"])
    same = next((r for r in points if r["model"]["attacked_seen"] >=
                 result["model"]["attacked_seen"]), points[-1])
    gaps.append(forgetting(same) - forgetting(result))
  claim = study.claim(f"ce against {method}: held-out classes or reading at "
                      "the same attacked accuracy, difference", Mean.of(gaps),
                      at_most=-0.1)
  assert claim.verdict != "fails", claim


@full
def test_the_clean_stream_protects_what_it_contains(study):
  (_, everything), (_, seen), (_, seen_alone) = study.series["clean stream"]
  for name, runs in (("of seen classes alone", seen),
                     ("and candidates of seen classes alone", seen_alone)):
    mean = Mean.of(
        a["model"]["clean_unseen"] - b["model"]["clean_unseen"]
        for a, b in zip(everything, runs))
    claim = study.claim(f"dpo: clean accuracy of held-out classes with clean "
                        f"pictures of all classes, over that with clean "
                        f"pictures {name}", mean, at_least=0)
    assert claim.verdict != "fails", claim


@full
@pytest.mark.parametrize("control", ("blank_plate", "other_word"))
@pytest.mark.parametrize("method", PREFERENCES)
def test_what_is_gained_on_words_is_more_than_on_a_plate_that_names_no_class(
    study, method, control):
  """A plate hides a part of the object. What a model gains by looking past it
  shows on a plate without a class's name, too; the rest is resisting words."""
  mean = Mean.of(
      change(r, "attacked_seen") - change(r, control)
      for r in study.method(method))
  claim = study.claim(f"{method}: gain in attacked accuracy beyond that with "
                      f"{control.replace('_', ' ')}", mean, at_least=0)
  assert claim.verdict != "fails", claim


@full
def test_without_the_kl_more_is_forgotten(study):
  runs = {recipe.kl_weight: results
          for recipe, results in study.series["dpo by λ"]}
  mean = Mean.of(forgetting(a) - forgetting(b)
                 for a, b in zip(runs[0], runs[1]))
  claim = study.claim("dpo: held-out classes or reading, λ = 0 against λ = 1",
                      mean, at_most=0)
  assert claim.verdict != "fails", claim
