"""Estimators: Wilson and bootstrap intervals, the interquartile mean, and the mean over lengths."""

from collections.abc import Callable, Sequence
from functools import cache
from statistics import NormalDist
from typing import Any

import numpy as np

INTERVAL_SEEDS = 5
"""Fewest seeds for which an interval is given."""
RESAMPLES = 2000


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


def iqm(values: Any, axis: int = -1) -> Any:
    """Return the mean of the middle half along an axis; a value on its edge counts by the fraction that lies inside."""
    # Sorting puts NaN last, so the first n values are the finite ones.
    ordered = np.sort(np.moveaxis(np.asarray(values, dtype=float), axis, -1))
    n, rank = (~np.isnan(ordered)).sum(-1, keepdims=True), np.arange(ordered.shape[-1])
    # Value number r covers [r, r + 1] of [0, n]; its weight is the part of it inside [n/4, 3n/4].
    weights = np.clip(np.minimum(rank + 1, 0.75 * n) - np.maximum(rank, 0.25 * n), 0, None)
    # The weights sum to n/2.
    return np.nansum(ordered * weights, axis=-1) / np.where(n[..., 0] > 0, n[..., 0] / 2, np.nan)


def interval(values: Sequence[float], statistic: Callable[..., Any] = iqm) -> tuple[float, float] | None:
    """Return a seeded 95% percentile bootstrap interval over seeds; ``None`` below five, where it would mislead."""
    finite = [value for value in values if not np.isnan(value)]
    if len(finite) < INTERVAL_SEEDS:
        return None
    # The ends are the 2.5% and 97.5% quantiles of the statistic over samples with replacement.
    low, high = np.percentile(statistic(np.asarray(finite)[_resamples(len(finite))], axis=-1), [2.5, 97.5])
    return float(low), float(high)


@cache
def _resamples(n: int) -> np.ndarray:
    """Return the places of ``n`` values in each sample that is drawn from them with replacement ``[RESAMPLES, n]``."""
    return np.random.default_rng(0).integers(0, n, (RESAMPLES, n))


def mean_over_lengths(lengths: Any, values: Any) -> float:
    """Return the mean of a score over lengths by the trapezoid rule (lengths ascend); NaN if all values are NaN."""
    x, y = np.asarray(lengths, dtype=float), np.asarray(values, dtype=float)
    x, y = x[~np.isnan(y)], y[~np.isnan(y)]
    if len(x) < 2:
        return float(y[0]) if len(y) else np.nan
    # The area under the curve, divided by the range of lengths.
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / (x[-1] - x[0]))
