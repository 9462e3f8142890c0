#!/usr/bin/env python3
"""Reference values of common/statistics, from NumPy and SciPy.

    pip install numpy==2.4.6 scipy==1.17.1
    generate_statistics.py > statistics.json

mcnemar: the exact two-sided binomial test. share: quantiles of the binomial
distribution that the bootstrap of a share has. difference and gap: a bootstrap
that draws rows, with 100,000 resamples; gap is the largest difference between
groups of the share assigned to a candidate, kl the divergence in nats of the
assigned distribution from the uniform one. Each interval has the standard
error that 2,000 resamples leave.
"""

import json

import numpy as np
from scipy import stats

RESAMPLES = 100_000
random = np.random.default_rng(20241108)


def interval(values):
    """Quantiles with the standard error of one taken from 2,000 resamples."""
    low, high = np.quantile(values, [0.025, 0.975])
    chunks = np.array_split(random.permutation(values), len(values) // 2000)
    errors = np.std([np.quantile(c, [0.025, 0.975]) for c in chunks], axis=0)
    return {"low": low, "high": high,
            "low_error": errors[0], "high_error": errors[1]}


def mcnemar(first, second):
    if first + second == 0:
        return 1.0
    return stats.binomtest(first, first + second, 0.5).pvalue


def share(right, count):
    low, high = stats.binom.ppf([0.025, 0.975], count, right / count) / count
    return {"right": right, "count": count, "low": low, "high": high}


def rows_of(first, second, count):
    return np.array([1] * first + [-1] * second
                    + [0] * (count - first - second), dtype=float)


def difference(first, second, count):
    rows = rows_of(first, second, count)
    means = [rows[random.integers(0, count, count)].mean()
             for _ in range(RESAMPLES)]
    return {"only_first": first, "only_second": second, "count": count,
            **interval(np.array(means))}


def shares(assigned, candidates):
    return np.bincount(assigned, minlength=candidates) / len(assigned)


def gap(groups, candidates):
    table = np.array([shares(group, candidates) for group in groups])
    return (table.max(axis=0) - table.min(axis=0)).max()


def kl(groups, candidates):
    p = shares(np.concatenate(groups), candidates)
    p = p[p > 0]
    return float((p * np.log(p * candidates)).sum())


def skew(sizes, candidates):
    groups = [random.integers(0, random.integers(2, candidates + 1), size)
              for size in sizes]
    drawn = {"gap": [], "kl": []}
    for _ in range(RESAMPLES // 5):
        sample = [g[random.integers(0, len(g), len(g))] for g in groups]
        drawn["gap"].append(gap(sample, candidates))
        drawn["kl"].append(kl(sample, candidates))
    return {"candidates": candidates,
            "groups": [group.tolist() for group in groups],
            "gap": gap(groups, candidates), "kl": kl(groups, candidates),
            "gap_interval": interval(np.array(drawn["gap"])),
            "kl_interval": interval(np.array(drawn["kl"]))}


PAIRS = [(0, 0), (1, 0), (0, 5), (6, 1), (8, 2), (10, 10), (59, 6), (3, 121),
         (500, 430), (10_000, 10_300), (0, 60), (200_000, 201_000)]
print(json.dumps({
    "mcnemar": [{"only_first": f, "only_second": s, "p": mcnemar(f, s)}
                for f, s in PAIRS],
    "share": [share(*case) for case in
              [(1, 2), (3, 10), (97, 200), (3486 - 1277, 3486), (999, 1000)]],
    "difference": [difference(*case) for case in
                   [(30, 10, 100), (59, 6, 200), (400, 90, 1000)]],
    "skew": [skew([40, 60], 3), skew([25, 25, 70], 5)],
}, indent=1))
