"""Estimators: Wilson and bootstrap intervals, the interquartile mean, and the mean over lengths."""

from collections.abc import Callable
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

INTERVAL_SEEDS = 5
"""Fewest seeds for which an interval is given."""
RESAMPLES = 2000
CHUNK = 1000
"""Most rows whose resamples are in memory at once."""

Weights = Callable[[int], np.ndarray]


def wilson(successes: Any, n: Any, confidence: float = 0.95) -> tuple[Any, Any]:
    """Return the ends of the Wilson score interval (Wilson 1927) as arrays; arguments broadcast, (0, 1) at n = 0."""
    # The normal quantile of a two-sided interval: 1.96 at 95%.
    z, sampled = NormalDist().inv_cdf((1 + confidence) / 2), np.greater(n, 0)
    # One trial instead of none avoids a division by zero; the result is replaced at the end.
    trials = np.where(sampled, n, 1)
    share = successes / trials
    # The center is the share, shrunk towards 1/2.
    center = (share + z**2 / (2 * trials)) / (1 + z**2 / trials)
    # The half width; rounding may push share * (1 - share) below 0.
    half = z / (1 + z**2 / trials) * np.sqrt(np.maximum(share * (1 - share), 0) / trials + (z / (2 * trials)) ** 2)
    # Ends are cut to [0, 1].
    return np.where(sampled, np.maximum(center - half, 0), 0.0), np.where(sampled, np.minimum(center + half, 1), 1.0)


def iqm_weights(n: int) -> np.ndarray:
    """Return the weights ``[n]`` of sorted values in the mean of their middle half; edge values count by fractions."""
    # Value number r covers [r, r + 1] of [0, n]; its weight is the part of it inside [n/4, 3n/4], which is n/2 long.
    rank = np.arange(n)
    return np.clip(np.minimum(rank + 1, 0.75 * n) - np.maximum(rank, 0.25 * n), 0, None) / (n / 2)


def median_weights(n: int) -> np.ndarray:
    """Return the weights ``[n]`` of sorted values in their median."""
    rank = np.arange(n)
    return ((rank == (n - 1) // 2) + 1.0 * (rank == n // 2)) / 2


def iqm(values: Any) -> float:
    """Return the interquartile mean of the values that are not NaN; NaN if there are none."""
    numbers = np.asarray(values, dtype=float)
    numbers = np.sort(numbers[~np.isnan(numbers)])
    return float(numbers @ iqm_weights(len(numbers))) if len(numbers) else np.nan


def intervals(values: Any, weights: Weights = iqm_weights) -> tuple[np.ndarray, np.ndarray]:
    """Return the ends ``[N]`` of seeded 95% percentile bootstrap intervals over seeds.

    NaN below ``INTERVAL_SEEDS`` seeds, where an interval would mislead.

    Args:
        values: ``[N, seeds]``; NaN where a seed has no value.
        weights: the weights of sorted values in the statistic: ``iqm_weights`` or ``median_weights``.
    """
    ordered = np.sort(np.asarray(values, dtype=float), axis=1)  # NaN comes last
    counts, ends = (~np.isnan(ordered)).sum(axis=1), np.full((2, len(ordered)), np.nan)
    # Where all values are equal, so are the ends.
    constant = (counts >= INTERVAL_SEEDS) & (ordered[:, 0] == np.nanmax(ordered, axis=1, initial=-np.inf))
    ends[:, constant] = ordered[constant, 0]
    for n in set(counts[(counts >= INTERVAL_SEEDS) & ~constant].tolist()):
        rows, resamples = np.flatnonzero((counts == n) & ~constant), _resamples(n, weights)
        for chunk in np.array_split(rows, range(CHUNK, len(rows), CHUNK)):
            ends[:, chunk] = np.percentile(ordered[chunk, :n] @ resamples, [2.5, 97.5], axis=1)
    return ends[0], ends[1]


@cache
def _resamples(n: int, weights: Weights) -> np.ndarray:
    """Return what each of ``n`` sorted values contributes to the statistic of each resample ``[n, RESAMPLES]``.

    A sample that is drawn from sorted values with replacement is sorted if its places are. So the statistic of all
    resamples is one matrix product of the sorted values.
    """
    places = np.sort(np.random.default_rng(0).integers(0, n, (RESAMPLES, n)), axis=1)
    shares = np.zeros((n, RESAMPLES))
    np.add.at(shares, (places, np.arange(RESAMPLES)[:, None]), weights(n))
    return shares


def mean_over_lengths(lengths: Any, values: Any) -> float:
    """Return the mean of a score over lengths by the trapezoid rule (lengths ascend); NaN if all values are NaN."""
    x, y = np.asarray(lengths, dtype=float), np.asarray(values, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 2:
        return float(y[0]) if len(y) else np.nan
    # The area under the curve, divided by the range of lengths.
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / (x[-1] - x[0]))
