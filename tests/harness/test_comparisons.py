"""Comparisons: probability of improvement, intervals, Holm's adjustment, ranks, and their tables."""

from itertools import combinations, product

import numpy as np
import pandas as pd
import pytest
from factories import made_run
from matplotlib.figure import Figure
from scipy.stats import (
    bootstrap,
    false_discovery_control,
    friedmanchisquare,
    permutation_test,
    rankdata,
    studentized_range,
)

from harness.analysis.comparisons import (
    compare_all,
    critical_distance,
    holm,
    mean_ranks,
    range_quantile,
    rank_groups,
    scaled,
)
from harness.report.comparison_tables import pairs_table, profile_table, ranks_table, seed_scores
from harness.report.rank_plots import rank_picture
from harness.report.results import Results

RNG = np.random.default_rng(1)


def test_clear_differences_show_however_many_are_compared() -> None:
    """Holm multiplies the smallest p-value by the number of pairs, 190 here."""
    rng = np.random.default_rng(0)
    halves = {
        f"{place}": {f"{task}": (place < 10) + rng.normal(0, 0.01, 5) for task in range(10)} for place in range(20)
    }
    pairs = compare_all(halves)
    is_across = (pairs.better.astype(int) < 10) & (pairs.other.astype(int) >= 10)
    assert (pairs.p[is_across] < 0.05).all()
    assert (pairs.p[~is_across] >= 0.05).all()


def test_a_task_that_guessing_solves_is_not_scaled() -> None:
    assert scaled(np.array([1.0, 0.99]), 1.0).tolist() == [1.0, 0.99]


def test_a_failed_seed_is_no_score_of_a_pair_whose_other_seeds_have_none() -> None:
    cells, scores, meta = made_run(("lstm", "gru"), ("parity",), 3, (0.001,), (1000,))
    gru = cells.cell[cells.architecture == "gru"]
    cells.loc[cells.cell == gru.iloc[0], "status"] = "failed"
    lost = scores.cell.isin(gru) & ~scores.in_range
    scores = scores.assign(status=scores.status.mask(lost, "beyond reach"), exact=scores.exact.mask(lost))
    scores = scores[scores.cell != gru.iloc[0]]
    assert set(seed_scores(Results.of(cells, scores, meta))) == {"lstm"}


def test_the_probability_counts_pairs_of_seeds_and_ties_as_half() -> None:
    one = {"a": np.array([0.9, 0.5, 0.5]), "b": np.array([0.2, 0.3, 0.4, 0.5])}
    other = {"a": np.array([0.5, 0.1, 0.6]), "b": np.array([0.3, 0.3, 0.1])}
    row = compare_all({"one": one, "other": other}).iloc[0]
    by_task = [np.mean([(x > y) + 0.5 * (x == y) for x, y in product(one[t], other[t])]) for t in "ab"]
    assert row.probability == pytest.approx(np.mean(by_task))
    assert row.difference == pytest.approx(np.mean([one[t].mean() - other[t].mean() for t in "ab"]))
    assert row.probability_low < row.probability < row.probability_high
    again = compare_all({"one": one, "other": other}).iloc[0]
    assert again.equals(row)


def test_intervals_and_p_are_those_of_scipy() -> None:
    x, y = RNG.normal(0.6, 0.2, 6), RNG.normal(0.4, 0.2, 5)
    row = compare_all({"x": {"t": x}, "y": {"t": y}}).iloc[0]

    def difference(a: np.ndarray, b: np.ndarray, axis: int = -1) -> np.ndarray:
        return a.mean(axis) - b.mean(axis)

    interval = bootstrap((x, y), difference, method="percentile", rng=0).confidence_interval
    assert (row.difference_low, row.difference_high) == pytest.approx(tuple(interval), abs=0.02)
    assert row.p == pytest.approx(permutation_test((x, y), difference).pvalue, abs=0.03)


def test_a_pair_has_the_same_row_alone_among_others_and_turned() -> None:
    scores = {name: {task: RNG.normal(0.5, 0.1, 3) for task in "tu"} for name in "abc"} | {"d": {"t": RNG.random(4)}}
    every = compare_all(scores).drop(columns="p").set_index(["better", "other"])
    for names in (("a", "b"), ("c", "d"), ("d", "c")):
        alone = compare_all({name: scores[name] for name in names}).drop(columns="p").set_index(["better", "other"])
        same = every.loc[alone.index]
        points, ends = (
            ["tasks", "probability", "difference"],
            [name for name in every if name.endswith(("low", "high"))],
        )
        assert alone[points].to_numpy() == pytest.approx(same[points].to_numpy())
        assert alone[ends].to_numpy() == pytest.approx(same[ends].to_numpy(), abs=0.05)


def test_equal_architectures_are_not_told_apart_and_different_ones_are() -> None:
    tasks = [f"task {n}" for n in range(6)]
    same = {name: {task: RNG.normal(0.5, 0.1, 5) for task in tasks} for name in ("a", "b")}
    better = {"c": {task: RNG.normal(0.9, 0.02, 5) for task in tasks}}
    frame = compare_all(same | better).set_index(["better", "other"])
    assert frame.p["c", "a"] < 0.01
    assert frame.probability_low["c", "a"] > 0.95
    (left,) = (row for pair, row in frame.iterrows() if "c" not in pair)
    assert left.p > 0.05
    assert left.difference_low < 0 < left.difference_high
    identical = {name: {"t": np.ones(3)} for name in "xy"}
    assert compare_all(identical)[["probability", "difference", "p"]].to_numpy().tolist() == [[0.5, 0.0, 1.0]]


def test_holm_adjusts_in_order() -> None:
    p = np.array([0.01, 0.04, 0.03, 0.005])
    assert holm(p).tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert (holm(p) >= false_discovery_control(p, method="bh") - 1e-12).all()  # controlling more costs more


def test_ranks_share_ties_and_the_distance_is_demsars() -> None:
    medians = np.array(
        [[0.9, 0.9, 0.1, 0.2], [0.5, 0.7, 0.7, 0.1], [0.3, 0.2, 0.1, 0.0], [1, 1, 1, 0], [0.2, 0.3, 0.4, 0.5]]
    )
    scores = {f"a{k}": {f"t{n}": np.full(3, row[k]) for n, row in enumerate(medians)} for k in range(4)}
    expected = np.mean([rankdata(-row) for row in medians], axis=0)
    ranks = mean_ranks(scores).set_index("architecture")["rank"]
    assert [ranks[f"a{k}"] for k in range(4)] == pytest.approx(expected.tolist())
    assert critical_distance(4, 14) == pytest.approx(2.569 * np.sqrt(4 * 5 / (6 * 14)), rel=1e-3)  # his table 5
    for n in (3, 10, 40):
        assert range_quantile(0.95, n) == pytest.approx(studentized_range.ppf(0.95, n, np.inf), rel=1e-4)
    assert friedmanchisquare(*medians.T).pvalue > 0.05
    assert np.isnan(mean_ranks({name: {"t0": np.ones(3)} for name in "abc"}).distance).all()


def test_scaled_accuracy() -> None:
    assert scaled(np.array([0.5, 1.0, 0.75]), 0.5).tolist() == [0.0, 1.0, 0.5]


def test_the_tables_of_a_run() -> None:
    results = Results.of(*made_run(seeds=3))
    scores = seed_scores(results)
    assert set(scores["mamba"]) == set(results.tasks)
    assert set(scores["lstm"]) == set(results.tasks) - {"addition@long"}  # no longer length of it was scored
    assert len(pairs_table(results).frame) == 10
    assert ranks_table(results).frame["mean rank"].is_monotonic_increasing
    profile = profile_table(results).data.set_index("architecture")
    assert (profile["x1"] >= profile["x2"]).all()
    few = Results.of(*made_run(("lstm", "mamba"), ("parity",), 2, (0.001,), (1000,)))
    assert pairs_table(few).frame.empty


def test_groups_join_neighbours_in_rank_of_which_no_two_differ() -> None:
    ranks = pd.DataFrame({"architecture": list("abcde"), "rank": [1, 2, 3, 4, 5]})
    different = {("a", "c"), ("a", "d"), ("a", "e"), ("b", "e"), ("c", "e"), ("d", "e")}
    pairs = pd.DataFrame([(*pair, 0.01 if pair in different else 0.3) for pair in combinations("abcde", 2)])
    assert rank_groups(ranks, pairs.set_axis(["better", "other", "p"], axis=1)) == [(0, 1), (1, 3)]
    assert rank_groups(ranks, pairs.set_axis(["better", "other", "p"], axis=1)[:0]) == []


def test_the_picture_of_ranks_has_a_row_for_each_architecture() -> None:
    picture = rank_picture(Results.of(*made_run(seeds=5, rates=(0.001,), steps=(1000,))))
    (panel,) = picture.panels
    ax = Figure().add_subplot()
    panel.draw(ax)
    ranks = [line.get_xdata()[-1] for line in ax.lines if line.get_marker() != "None"]
    assert len(ranks) == len(ax.get_yticks())
    assert ranks == sorted(ranks)
    assert "Holm" in picture.caption
