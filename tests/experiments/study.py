"""The alignment study: which runs are made, how settings are chosen, which
claims are asked, and what is written of it."""

import dataclasses
import json
import pathlib
import time

from intervals import Claim, Mean
from lab import Recipe

# Settings are chosen on bases and pictures that nothing is reported on.
TUNING_SEEDS = (1, 2)
SEEDS = (11, 12, 13)

# What is tried for each method; CE as published has no KL.
GRID = {
    "dpo": [Recipe("dpo", rate, beta=1, kl_weight=weight)
            for rate in (1e-3, 2e-3) for weight in (0.3, 1)],
    "kto": [Recipe("kto", rate, beta=1.5, kl_weight=weight)
            for rate in (1e-3, 2e-3) for weight in (0.3, 1)],
    "ipo": [Recipe("ipo", rate, beta=beta, kl_weight=1)
            for rate in (1e-3, 2e-3) for beta in (0.05, 0.1)],
    "ce": [Recipe("ce", rate, share=0.5) for rate in (1e-4, 3e-4, 1e-3)],
}
METHODS = tuple(GRID)

# A setting may lose this much on the tuning seeds, in clean accuracy over all
# classes and in reading; of those that do, the best at resisting is taken.
MAX_CLEAN_LOSS = 0.015
MAX_READING_LOSS = 0.05

RATES = {"ce": (3e-5, 1e-4, 3e-4, 1e-3), "dpo": (3e-4, 1e-3, 2e-3, 4e-3)}
WEIGHTS = (0, 0.1, 0.3, 1, 3)
BETAS = (0.3, 1, 3)


def resistance(figures):
  """Attacked accuracy, of seen and unseen classes and words alike."""
  return (figures["attacked_seen"] + figures["attacked_unseen"]) / 2


def change(result, figure):
  return result["model"][figure] - result["base"][figure]


class Study:
  """Runs lazily; what has been run is remembered for the report."""

  seeds = SEEDS
  short_seed = 5

  def __init__(self, lab, output):
    self.lab = lab
    self.output = pathlib.Path(output)
    self.claims = []
    self.knob = {}
    self._chosen = None
    self._series = None
    self._began = time.monotonic()

  def claim(self, name, mean, **bound):
    claim = Claim(name, mean, **bound)
    self.claims.append(claim)
    return claim

  def add_knob(self, curves):
    self.knob = curves

  # ---- runs

  def results(self, recipes, seeds):
    """{recipe: [result of each seed]}, all of them run beside each other."""
    recipes = list(dict.fromkeys(recipes))
    # The bases first: every other run waits for one.
    bases = [self.lab.start(self.lab.base, seed) for seed in seeds]
    for base in bases:
      base.result()
    pending = {(recipe, seed): self.lab.start(self.lab.aligned, seed, recipe)
               for seed in seeds for recipe in recipes}
    return {recipe: [pending[recipe, seed].result() for seed in seeds]
            for recipe in recipes}

  @property
  def chosen(self):
    """{method: (recipe, table of what was tried)}."""
    if self._chosen is None:
      tried = self.results([r for grid in GRID.values() for r in grid],
                           TUNING_SEEDS)
      self._chosen = {method: choose(GRID[method], tried)
                      for method in METHODS}
    return self._chosen

  def recipe(self, method):
    return self.chosen[method][0]

  @property
  def series(self):
    """{name: [(recipe, [result of each seed])]} on the reported seeds."""
    if self._series is None:
      plan = self.plan()
      runs = self.results([r for recipes in plan.values() for r in recipes],
                          SEEDS)
      self._series = {name: [(recipe, runs[recipe]) for recipe in recipes]
                      for name, recipes in plan.items()}
    return self._series

  def plan(self):
    replace = dataclasses.replace
    dpo, ce = self.recipe("dpo"), self.recipe("ce")
    return {
        "methods": [self.recipe(method) for method in METHODS],
        "ce by learning rate": [replace(ce, learning_rate=rate)
                                for rate in RATES["ce"]],
        "ce by λ": [replace(ce, learning_rate=dpo.learning_rate, share=1,
                            kl_weight=weight) for weight in (0.3, 1, 3)],
        "dpo by learning rate": [replace(dpo, learning_rate=rate)
                                 for rate in RATES["dpo"]],
        "dpo by λ": [replace(dpo, kl_weight=weight) for weight in WEIGHTS],
        "dpo by β": [replace(dpo, beta=beta) for beta in BETAS],
        "clean stream": [dpo, replace(dpo, clean="seen"),
                         replace(dpo, clean="seen", candidates="seen")],
    }

  def method(self, name):
    """The results of a method's chosen setting, one a seed."""
    return self.series["methods"][METHODS.index(name)][1]

  # ---- what is written

  def write(self):
    import report
    self.output.mkdir(parents=True, exist_ok=True)
    values = self.json()
    (self.output / "results.json").write_text(
        json.dumps(values, indent=1, ensure_ascii=False) + "\n")
    report.write(values, self.output)

  def json(self):
    def of(results):
      figures = results[0]["model"]
      return {
          "model": {f: Mean.of(r["model"][f] for r in results).json()
                    for f in figures},
          "change": {f: Mean.of(change(r, f) for r in results).json()
                     for f in figures},
      }

    values = {"seeds": list(SEEDS), "tuning_seeds": list(TUNING_SEEDS),
              "sizes": dataclasses.asdict(self.lab.sizes),
              "minutes": (time.monotonic() - self._began) / 60,
              "claims": [claim.json() for claim in self.claims]}
    if self._chosen is not None:
      values["tuning"] = {
          method: {"chosen": dataclasses.asdict(recipe), "tried": tried}
          for method, (recipe, tried) in self._chosen.items()}
    if self._series is not None:
      base = self.method("dpo")
      values["base"] = {f: Mean.of(r["base"][f] for r in base).json()
                        for f in base[0]["base"]}
      values["series"] = {
          name: [{"recipe": dataclasses.asdict(recipe),
                  "label": recipe.label(), **of(results)}
                 for recipe, results in runs]
          for name, runs in self._series.items()}
    if self.knob:
      points = zip(*self.knob.values())
      values["knob"] = [
          {"t": at[0]["t"],
           **{name: Mean.of(p[name] for p in at).json()
              for name in ("margin", "told_apart", "class_top1")}}
          for at in points]
    return values


def choose(grid, tried):
  """The setting that resists best among those that forget little; if none
  does, the one that forgets least. With the table of what was tried."""
  table = []
  for recipe in grid:
    mean = lambda value: Mean.of(map(value, tried[recipe])).value  # noqa: E731
    table.append({
        "label": recipe.label(),
        "resistance": mean(lambda r: resistance(r["model"])),
        "clean_change": mean(lambda r: change(r, "clean")),
        "reads_change": mean(lambda r: change(r, "reads")),
    })
  def good(row):
    return (row["clean_change"] >= -MAX_CLEAN_LOSS and
            row["reads_change"] >= -MAX_READING_LOSS)
  if any(map(good, table)):
    best = max(filter(good, table), key=lambda row: row["resistance"])
  else:
    best = max(table,
               key=lambda row: row["clean_change"] + row["reads_change"])
  return grid[table.index(best)], table
