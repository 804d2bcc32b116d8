"""Statistics against reference libraries and hand-computed cases, and the guarantees of the report."""

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, bootstrap, trim_mean

from harness.analysis.estimators import intervals, iqm, mean_over_lengths, median_weights, wilson
from harness.analysis.schema import CELLS, SCORES, complete
from harness.analysis.statistics import (
    SolvedTo,
    choose_learning_rate,
    compare_learning_rates,
    grade_cells,
    summarize,
)

IN_RANGE = (10, 20)


def cell(name: str, seed: int = 0, rate: float = 1e-3, status: str = "done", **more: Any) -> dict[str, Any]:
    base = {
        "cell": name,
        "architecture": "lstm",
        "task": "parity",
        "seed": seed,
        "learning_rate": rate,
        "status": status,
    }
    return {**base, "validation_exact": 1.0, "validation_loss": 0.1, "train_low": 1, "train_high": 20, **more}


def lengths(name: str, exact: dict[int, float | str], variant: str = "", **more: Any) -> list[dict[str, Any]]:
    rows = []
    for length, value in exact.items():
        evaluated = isinstance(value, float)
        graded = {"exact": value, "token": value, "n": 500} if evaluated else {}
        row = {"cell": name, "variant": variant, "length": length, "final": True, "step": 100, **graded, **more}
        rows.append(
            {**row, "status": "ok" if evaluated else value, "in_range": length in IN_RANGE, "chance_exact": 0.5}
        )
    return rows


def scored(exact: dict[int, float | str]) -> pd.DataFrame:
    return complete(pd.DataFrame(lengths("a", exact)), SCORES)


@given(n=st.integers(1, 3000), share=st.floats(0, 1))
@settings(max_examples=60, deadline=None)
def test_wilson_is_scipys(n: int, share: float) -> None:
    successes = round(n * share)
    reference = binomtest(successes, n).proportion_ci(method="wilson")
    low, high = wilson(successes, n)
    assert low == pytest.approx(reference.low, abs=1e-9)
    assert high == pytest.approx(reference.high, abs=1e-9)


def test_wilson_is_the_whole_range_without_samples() -> None:
    low, high = wilson(np.array([0, 5]), np.array([0, 5]))
    assert (low[0], high[0]) == (0.0, 1.0)
    assert high[1] == pytest.approx(1.0)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=5).map(lambda values: values * 4))
@settings(deadline=None)
def test_iqm_is_scipys_trimmed_mean_where_four_divides_the_count(values: list[float]) -> None:
    assert iqm(values) == pytest.approx(trim_mean(values, 0.25), abs=1e-6)


def test_iqm_counts_edge_values_by_their_fraction() -> None:
    assert iqm([0.0, 1.0, 5.0]) == pytest.approx((0.25 * 0 + 1 * 1 + 0.25 * 5) / 1.5)
    assert iqm([7.0]) == 7.0
    assert iqm([7.0, math.nan]) == 7.0
    assert math.isnan(iqm([]))


def test_interval_is_scipys_bootstrap_repeatable_and_only_from_five_seeds() -> None:
    values = [0.1, 0.4, 0.5, 0.8, 0.9, 0.95]
    reference = bootstrap(
        (values,), trim_mean_of_six, n_resamples=2000, method="percentile", rng=np.random.default_rng(0)
    )
    rows = [values, [*values[:4], math.nan, math.nan], [0.5] * 5 + [math.nan], values[::-1]]
    low, high = intervals(rows)
    assert (low[0], high[0]) == (low[3], high[3]) == pytest.approx(tuple(reference.confidence_interval), abs=0.02)
    assert np.isnan([low[1], high[1]]).all()
    assert (low[2], high[2]) == (0.5, 0.5)
    median = bootstrap((values,), np.median, n_resamples=2000, method="percentile", rng=np.random.default_rng(0))
    (low, high) = (float(end[0]) for end in intervals([values], median_weights))
    assert (low, high) == pytest.approx(tuple(median.confidence_interval), abs=0.06)


def trim_mean_of_six(values: np.ndarray) -> float:
    inner = np.sort(values)
    return float((0.5 * inner[1] + inner[2] + inner[3] + 0.5 * inner[4]) / 3)


def test_means_over_lengths_do_not_depend_on_the_grid() -> None:
    fine = list(range(40, 161))
    falling = [1 - (length - 40) / 120 for length in fine]
    assert mean_over_lengths(fine, falling) == pytest.approx(0.5)
    assert mean_over_lengths([40, 50, 160], [1.0, 1 - 10 / 120, 0.0]) == pytest.approx(0.5)
    assert mean_over_lengths([40], [0.7]) == 0.7
    assert mean_over_lengths([40, 80, 160], [1.0, math.nan, 0.0]) == pytest.approx(0.5)
    assert math.isnan(mean_over_lengths([], []))


@pytest.mark.parametrize(
    ("exact", "expected", "text"),
    [
        ({10: 1.0, 20: 1.0, 40: 1.0, 80: 0.3, 160: 1.0}, SolvedTo(40, False), "40"),
        ({10: 1.0, 20: 1.0, 40: 0.986, 80: 1.0}, SolvedTo(80, True), ">=80"),
        ({10: 1.0, 20: 1.0, 40: 1.0, 80: "out of memory", 160: "out of memory"}, SolvedTo(40, True), ">=40"),
        ({10: 1.0, 20: 1.0, 40: "beyond reach"}, SolvedTo(20, True), ">=20"),
        ({10: 0.5, 20: 1.0, 40: 1.0}, SolvedTo(0, False), "0"),
        ({5: 0.0, 10: 1.0, 20: 1.0, 40: 0.0}, SolvedTo(20, False), "20"),
    ],
)
def test_solved_to(exact: dict[int, float | str], expected: SolvedTo, text: str) -> None:
    result = grade_cells(scored(exact)).solved_to[0]
    assert result == expected
    assert str(result) == text


def test_nothing_evaluated_is_unknown_not_zero() -> None:
    assert grade_cells(scored({10: "out of memory"})).solved_to[0] is None
    assert grade_cells(scored({40: 1.0})).fit[0] is None
    assert math.isnan(grade_cells(scored({10: 1.0, 20: 1.0, 40: "beyond reach"})).exact[0])


def test_a_model_does_not_solve_lengths_beyond_its_reach() -> None:
    assert not grade_cells(scored({10: 1.0, 20: 1.0, 40: "beyond reach"})).solved[0]
    truncated = grade_cells(scored({10: 1.0, 20: 1.0, 40: 1.0, 80: "out of memory"})).iloc[0]
    assert (truncated.solved, truncated.ended, truncated.exact) == (True, "out of memory at 80", 1.0)


def test_fit_needs_every_training_length_within_sampling_error() -> None:
    assert grade_cells(scored({10: 1.0, 20: 0.986, 40: 0.0})).fit[0]
    assert not grade_cells(scored({10: 1.0, 20: 0.95, 40: 1.0})).fit[0]


def graded(rows: list[dict[str, Any]]) -> pd.DataFrame:
    """The grades of the last checkpoints."""
    scores = complete(pd.DataFrame(rows), SCORES)
    return grade_cells(scores[scores.final])


def rates(*cells: dict[str, Any]) -> pd.DataFrame:
    return compare_learning_rates(pd.DataFrame(cells)).set_index("learning_rate")


def test_learning_rate_by_validation_then_loss_then_size() -> None:
    by_exact = rates(
        cell("a", rate=1e-4, validation_exact=0.9), cell("b", rate=1e-3), cell("c", rate=1e-2, validation_exact=0.8)
    )
    assert by_exact.chosen.to_dict() == {1e-4: False, 1e-3: True, 1e-2: False}
    assert not by_exact.edge.any()
    by_loss = rates(cell("a", rate=1e-4), cell("b", rate=1e-3, validation_loss=0.05))
    assert by_loss.chosen[1e-3]
    assert by_loss.edge[1e-3]
    assert rates(cell("a", rate=1e-2), cell("b", rate=1e-3)).chosen[1e-3]


def test_one_learning_rate_is_chosen_for_each_pair() -> None:
    cells = [
        cell("a", rate=1e-3),
        cell("b", rate=1e-2),
        cell("c", task="reverse"),
        cell("d", task="sum", status="missing"),
    ]
    assert choose_learning_rate(pd.DataFrame(cells)).task.tolist() == ["parity", "reverse"]


def test_learning_rate_grid_of_one_has_no_edge_and_no_rate_is_a_rate() -> None:
    assert not rates(cell("a")).edge.any()
    assert rates(cell("a", rate=math.nan)).chosen.all()


def test_a_failed_seed_counts_as_zero_and_a_missing_one_does_not() -> None:
    table = rates(
        cell("a", rate=1e-3, validation_exact=0.6),
        cell("b", seed=1, rate=1e-3, validation_exact=0.6),
        cell("c", rate=1e-2),
        cell("d", seed=1, rate=1e-2, status="failed", validation_exact=math.nan),
        cell("e", rate=1e-1, status="missing"),
    )
    assert table.chosen[1e-3]
    assert table.validation_exact[1e-2] == 0.5
    assert table.seeds[1e-1] == 0
    assert not table.edge[1e-2]


def test_the_choice_never_sees_test_scores() -> None:
    cells = pd.DataFrame([cell("a", rate=1e-3), cell("b", rate=1e-2, validation_loss=0.01)])
    scores = lengths("a", {10: 1.0, 20: 1.0, 40: 1.0}) + lengths("b", {10: 1.0, 20: 1.0, 40: 0.2})
    row = summarize(cells, graded(scores)).iloc[0]
    assert (row.learning_rate, row.exact, row.exact_max, row.max_of) == (1e-2, 0.2, 1.0, 2)


def test_summary_over_seeds() -> None:
    cells = pd.DataFrame([*(cell(name, seed) for seed, name in enumerate("abc")), cell("d", 3, status="failed")])
    scores = [
        *lengths("a", {10: 1.0, 20: 1.0, 40: 1.0, 80: 1.0}),
        *lengths("b", {10: 1.0, 20: 1.0, 40: 1.0, 80: 0.5}),
        *lengths("c", {10: 1.0, 20: 0.5, 40: 0.5, 80: 0.5}),
        *lengths("a", {10: 0.0, 20: 0.0, 40: 0.0}, final=False, step=50),
        *lengths("a", {40: 1.0, 80: 0.0}, variant="sparse"),
    ]
    summary = summarize(cells, graded(scores)).set_index("variant")
    main = summary.loc[""]
    assert (main.graded, main.fitted, main.failed, main.fit, main.solved) == (4, 2, 1, 0.5, 0.25)
    assert main.solved_to == "10"  # of 0, 10, 40, >=80
    assert main.exact == pytest.approx((0.5 + 0.75) / 2)
    assert main.exact_fit == pytest.approx((1.0 + 0.75) / 2)
    assert main.chance_exact == 0.5
    assert math.isnan(main.exact_low)
    assert summary.loc["sparse"].exact_fit == 0.5
    assert summary.loc["sparse"].solved_to == "0"


def test_intervals_from_five_seeds_on() -> None:
    cells = pd.DataFrame([cell(str(seed), seed) for seed in range(6)])
    scores = [row for seed in range(6) for row in lengths(str(seed), {20: 1.0, 40: seed / 5})]
    row = summarize(cells, graded(scores)).iloc[0]
    assert row.exact_low <= row.exact_iqm <= row.exact_high
    assert row.exact_low < row.exact_high


@pytest.mark.parametrize("status", ["failed", "missing", "not applicable", "done"])
def test_every_status_without_scores(status: str) -> None:
    row = summarize(pd.DataFrame([cell("a", status=status)]), graded([])).iloc[0]
    assert row.status == ("not evaluated" if status == "done" else status)
    assert math.isnan(row.exact)
    assert row.solved_to == ""


def test_empty_frames() -> None:
    assert summarize(pd.DataFrame(), graded([])).empty
    assert choose_learning_rate(complete(pd.DataFrame(), CELLS)).empty
