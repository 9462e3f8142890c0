"""Means over seeds with their 95 % intervals, and claims about them."""

import dataclasses
import math

# Student's t, 97.5 %, by degrees of freedom.
QUANTILES = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776, 5: 2.571, 6: 2.447,
             7: 2.365, 8: 2.306, 9: 2.262}


@dataclasses.dataclass(frozen=True)
class Mean:
  """Of one value a seed."""
  value: float
  low: float
  high: float
  values: tuple

  @staticmethod
  def of(values):
    values = tuple(values)
    count = len(values)
    mean = sum(values) / count
    if count == 1:
      return Mean(mean, -math.inf, math.inf, values)
    variance = sum((value - mean)**2 for value in values) / (count - 1)
    half = QUANTILES[count - 1] * math.sqrt(variance / count)
    return Mean(mean, mean - half, mean + half, values)

  def json(self):
    finite = math.isfinite(self.low)
    return {"mean": self.value, "low": self.low if finite else None,
            "high": self.high if finite else None, "seeds": list(self.values)}


@dataclasses.dataclass(frozen=True)
class Claim:
  """That a value is at least, or at most, a bound. It fails only if its
  interval excludes it, and is shown only if the interval excludes the
  opposite; between them it is open."""
  name: str
  mean: Mean
  at_least: float | None = None
  at_most: float | None = None

  @property
  def verdict(self):
    if self.at_least is not None:
      low, high = self.mean.low - self.at_least, self.mean.high - self.at_least
    else:
      low, high = self.at_most - self.mean.high, self.at_most - self.mean.low
    return "holds" if low >= 0 else "fails" if high < 0 else "open"

  def json(self):
    bound = ({"at_least": self.at_least} if self.at_least is not None else
             {"at_most": self.at_most})
    return {"claim": self.name, **bound, **self.mean.json(),
            "verdict": self.verdict}
