"""Comparisons of two architectures over all tasks that both were trained on, and of all architectures by their ranks.

The probability of improvement is that of Agarwal et al. 2021 ("Deep Reinforcement Learning at the Edge of the
Statistical Precipice"): on a task drawn at random, a seed of one architecture scores higher than a seed of the other;
ties count one half. Intervals resample seeds within each task. The p-value of a difference is that of a permutation
test which exchanges the two architectures' seeds within each task. P-values of all comparisons together are adjusted by
Holm 1979, so that the chance of any false one stays below 5 %.

Scores are *scaled accuracies*: exact match with chance at 0 and a perfect score at 1.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from statistics import NormalDist
from typing import Any

import numpy as np
import pandas as pd

RESAMPLES = 2000
"""Resamples of the seeds, and exchanges of them at a time."""

EXCHANGES_A_PAIR = 50
"""Exchanges of seeds for each compared pair. Holm multiplies the smallest p-value by the number of pairs, so with a
fixed number of exchanges no pair of many could differ."""

FEWEST_SEEDS = 3
"""Seeds of each architecture on a task, below which a resample says nothing."""

LEVEL = 0.05
"""Adjusted p-value below which two architectures differ."""

Scores = dict[str, dict[str, np.ndarray]]
"""Scaled accuracies of the seeds by architecture and task."""


def scaled(exact: np.ndarray, chance: float) -> np.ndarray:
    """Return exact match with chance at 0 and a perfect score at 1; scores below chance are negative.

    Where guessing is always right, exact match itself is returned.
    """
    floor = chance if chance < 1 else 0.0
    return (exact - floor) / (1 - floor)


def compare_all(scores: Scores) -> pd.DataFrame:
    """Compare every pair of architectures.

    Returns:
        One row for each pair with common tasks: ``better`` and ``other`` (the first has the higher mean), ``tasks``,
        ``probability`` of improvement with ``probability_low`` and ``probability_high``, ``difference`` of the mean
        scaled accuracy with ``difference_low`` and ``difference_high``, and ``p``, adjusted. The largest
        probability comes first.
    """
    samples = {pair: _samples(scores[pair[0]], scores[pair[1]]) for pair in combinations(scores, 2)}
    # Pairs with as many seeds on as many tasks share their resamples, so they are compared together.
    alike: dict[tuple[tuple[int, int], ...], list[tuple[str, str]]] = {}
    for pair, of_pair in samples.items():
        alike.setdefault(tuple((len(x), len(y)) for x, y in of_pair), []).append(pair)
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    compared_pairs = sum(len(pairs) for counts, pairs in alike.items() if counts)
    for pairs in (pairs for counts, pairs in alike.items() if counts):
        by_task = zip(*(samples[pair] for pair in pairs), strict=True)
        tasks = [(np.stack(x), np.stack(y)) for x, y in (zip(*task, strict=True) for task in by_task)]
        compared = compare_alike(tasks).assign(p=exchange_test(tasks, EXCHANGES_A_PAIR * compared_pairs))
        rows |= dict(zip(pairs, map(_oriented, pairs, compared.to_dict("records")), strict=True))
    frame = pd.DataFrame([rows[pair] for pair in samples if pair in rows])
    if frame.empty:
        return frame
    frame["p"] = holm(frame.p.to_numpy())
    return frame.sort_values("probability", ascending=False, kind="stable").reset_index(drop=True)


def _samples(one: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray]) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return the seeds' scores of both on each common task on which both have enough seeds."""
    common = [(one[task], other[task]) for task in one if task in other]
    return [(x, y) for x, y in common if min(len(x), len(y)) >= FEWEST_SEEDS]


def compare_alike(tasks: Sequence[tuple[np.ndarray, np.ndarray]]) -> pd.DataFrame:
    """Return a row of statistics for each of N pairs that have as many seeds on as many tasks, without p-values.

    A statistic of a resample is linear in the shares of the seeds in it, or in products of two shares. So those of all
    pairs and resamples are matrix products.

    Args:
        tasks: for each task the scores ``[N, seeds]`` of both architectures.
    """
    rng, pairs = np.random.default_rng(0), len(tasks[0][0])
    probability, difference = np.zeros(pairs), np.zeros(pairs)
    probabilities, differences = (np.zeros((pairs, RESAMPLES)) for _ in range(2))
    for x, y in tasks:
        wins = above(x, y)
        probability += wins.mean((1, 2))
        difference += x.mean(1) - y.mean(1)
        share_x, share_y = (_resampled_shares(rng, values.shape[1]) for values in (x, y))
        for seed, share in enumerate(share_x):  # one seed at a time, because all products of shares take much memory
            probabilities += wins[:, seed] @ (share * share_y)
        differences += x @ share_x - y @ share_y
    columns = {"tasks": len(tasks), "probability": probability / len(tasks), "difference": difference / len(tasks)}
    for name, values in (("probability", probabilities), ("difference", differences)):
        columns[f"{name}_low"], columns[f"{name}_high"] = np.percentile(values / len(tasks), [2.5, 97.5], axis=1)
    return pd.DataFrame(columns)


def exchange_test(tasks: Sequence[tuple[np.ndarray, np.ndarray]], least: int) -> np.ndarray:
    """Return a p-value for each of N pairs: how often seeds that are dealt out anew differ as much in their means.

    Args:
        tasks: as for :func:`compare_alike`.
        least: exchanges, rounded up to a multiple of :data:`RESAMPLES`.
    """
    rng, rounds = np.random.default_rng(1), max(1, -(-least // RESAMPLES))
    difference = np.abs(sum(x.mean(1) - y.mean(1) for x, y in tasks))[:, None]
    as_large = np.zeros(len(difference))
    for _ in range(rounds):  # one after another, because all exchanges of many pairs take much memory
        exchanged = sum(np.hstack((x, y)) @ _exchanged_weights(rng, x.shape[1], y.shape[1]) for x, y in tasks)
        as_large += (np.abs(exchanged) >= difference - 1e-12).sum(1)
    return (1 + as_large) / (1 + rounds * RESAMPLES)


def _oriented(pair: tuple[str, str], row: Mapping[Any, Any]) -> dict[str, Any]:
    """Return a row whose first architecture has the higher mean."""
    one, other = pair
    if row["difference"] >= 0:
        return {"better": one, "other": other, **row}
    turned = {"probability": 1 - row["probability"], "difference": -row["difference"]}
    turned |= {"probability_low": 1 - row["probability_high"], "probability_high": 1 - row["probability_low"]}
    turned |= {"difference_low": -row["difference_high"], "difference_high": -row["difference_low"]}
    return {"better": other, "other": one, **row, **turned}


def above(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return ``[N, n, m]``: 1 where a seed of ``x`` ``[N, n]`` is above one of ``y`` ``[N, m]``, and 0.5 for ties."""
    return (x[:, :, None] > y[:, None]) + 0.5 * (x[:, :, None] == y[:, None])


def _resampled_shares(rng: np.random.Generator, n: int) -> np.ndarray:
    """Return the share of each of ``n`` seeds in each resample with replacement: ``[n, RESAMPLES]``."""
    drawn = rng.integers(0, n, (n, RESAMPLES))
    return np.stack([(drawn == seed).mean(0) for seed in range(n)])


def _exchanged_weights(rng: np.random.Generator, n: int, m: int) -> np.ndarray:
    """Return the weights ``[n + m, RESAMPLES]`` of all seeds in a difference of means, dealt out at random."""
    weights = np.repeat([1 / n, -1 / m], [n, m])
    return rng.permuted(np.tile(weights[:, None], RESAMPLES), axis=0)


def holm(p: np.ndarray) -> np.ndarray:
    """Return adjusted p-values (Holm 1979): the smallest times their number, the next times one less, and so on."""
    order = np.argsort(p, kind="stable")
    adjusted = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1.0)
    result = np.empty_like(adjusted)
    result[order] = adjusted
    return result


def mean_ranks(scores: Scores) -> pd.DataFrame:
    """Return the mean rank of each architecture over the tasks that all of them have, 1 for the best; ties share ranks.

    Two architectures whose mean ranks differ by less than ``distance`` cannot be told apart (Nemenyi's test at 5 %,
    Demsar 2006). It is NaN for fewer than five tasks or three architectures, where the test has no power.
    """
    tasks = [task for task in next(iter(scores.values()), {}) if all(task in of_one for of_one in scores.values())]
    if not tasks:
        return pd.DataFrame(columns=["architecture", "rank", "tasks", "distance"])
    medians = pd.DataFrame({name: [np.median(of_one[task]) for task in tasks] for name, of_one in scores.items()})
    ranks = (-medians).round(9).rank(axis=1).mean()
    frame = pd.DataFrame({"architecture": ranks.index, "rank": ranks.to_numpy(), "tasks": len(tasks)})
    distance = critical_distance(len(scores), len(tasks)) if len(tasks) >= 5 and len(scores) >= 3 else np.nan
    return frame.assign(distance=distance).sort_values("rank", kind="stable").reset_index(drop=True)


def critical_distance(architectures: int, tasks: int) -> float:
    """Return Nemenyi's critical difference of mean ranks at 5 % (Demsar 2006, section 3.2.2)."""
    quantile = range_quantile(0.95, architectures) / np.sqrt(2)
    return float(quantile * np.sqrt(architectures * (architectures + 1) / (6 * tasks)))


def range_quantile(probability: float, n: int) -> float:
    """Return a quantile of the range of ``n`` independent standard normal variables.

    The range is at most q if the lowest variable is at some z and the others lie in [z, z + q]. It is the studentized
    range of infinite degrees of freedom, without importing ``scipy.stats``, which takes longer than a small report.
    """
    normal, step = NormalDist(), 0.02
    z = np.arange(-8, 16, step)  # the normal distribution ends within 8, and no quantile that is asked for exceeds 8
    density, below = (np.array([*map(function, z)]) for function in (normal.pdf, normal.cdf))
    ranges = np.arange(int(8 / step))
    lowest = len(z) - len(ranges)
    shares = [n * step * density[:lowest] @ (below[place:][:lowest] - below[:lowest]) ** (n - 1) for place in ranges]
    return float(np.interp(probability, shares, step * ranges))


def rank_groups(ranks: pd.DataFrame, pairs: pd.DataFrame) -> list[tuple[int, int]]:
    """Return the groups of neighbours in rank of which no two differ: the places of the first and the last of each.

    Two architectures differ if the adjusted p-value of their comparison is below 5 % (Holm 1979). Groups are as large
    as possible, may overlap, and have at least two members, as the bars of the diagram of Demsar (2006).

    Args:
        ranks: the frame of :func:`mean_ranks`.
        pairs: the frame of :func:`compare_all`; architectures without a comparison cannot be told to be alike.
    """
    names = ranks.architecture.tolist()
    alike = {frozenset(pair) for *pair, p in pairs[["better", "other", "p"]].itertuples(index=False) if p >= LEVEL}
    groups: list[tuple[int, int]] = []
    for first in range(len(names)):
        last = first
        while last + 1 < len(names) and all({name, names[last + 1]} in alike for name in names[first : last + 1]):
            last += 1
        if last > first and (not groups or last > groups[-1][1]):
            groups.append((first, last))
    return groups
