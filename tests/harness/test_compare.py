"""Reproducibility: rank correlation, verdicts and their change, and the command that prints them."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from command_line import LSTM, PARITY, SMALL, call, user_error
from scipy.stats import spearmanr

from harness.analysis.reproducibility import compare_pairs, compare_tasks, rank_correlation, verdict
from harness.report.reproducibility import agreement_sentence, changed_table, tasks_table

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
QUICK, KNOWN = REFERENCE / "quick", REFERENCE / "known-results"


def summary(**exact_by_name: float) -> pd.DataFrame:
    rows = [
        {"architecture": name, "task": "parity", "variant": "", "status": "ok", "exact": exact, "fit": 1.0}
        | {"solved": float(exact >= 0.99)}
        for name, exact in exact_by_name.items()
    ]
    return pd.DataFrame(rows)


@pytest.mark.parametrize(
    ("first", "second"),
    [([1.0, 0.5, 0.2, 0.1], [0.9, 0.6, 0.1, 0.3]), ([1.0, 1.0, 0.5, 0.2], [0.3, 0.3, 0.3, 0.9]), ([1, 2], [2, 1])],
)
def test_rank_correlation_is_scipys(first: list[float], second: list[float]) -> None:
    expected = spearmanr(first, second).statistic
    assert rank_correlation(pd.Series(first), pd.Series(second)) == pytest.approx(expected)


def test_rank_correlation_of_equal_or_missing_scores_is_unknown() -> None:
    assert math.isnan(rank_correlation(pd.Series([1.0, 1.0, 1.0]), pd.Series([0.1, 0.2, 0.3])))
    assert math.isnan(rank_correlation(pd.Series([1.0, math.nan]), pd.Series([0.1, 0.2])))
    assert math.isnan(rank_correlation(pd.Series([], dtype=float), pd.Series([], dtype=float)))
    assert rank_correlation(pd.Series([1.0, math.nan, 0.5]), pd.Series([0.1, 0.2, 0.0])) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        ({"status": "ok", "fit": 1.0, "solved": 0.5}, "solved"),
        ({"status": "ok", "fit": 0.6, "solved": 0.4}, "fits but does not generalize"),
        ({"status": "ok", "fit": 0.4, "solved": 0.0}, "does not fit"),
        ({"status": "failed", "fit": math.nan, "solved": math.nan}, "does not fit"),
        ({"status": "ok", "fit": math.nan, "solved": 0.0}, ""),
    ],
)
def test_verdicts(row: dict[str, Any], expected: str) -> None:
    assert verdict(row) == expected


def test_runs_are_compared_on_the_pairs_that_both_have() -> None:
    first, second = summary(lstm=1.0, gru=0.9, rnn=0.2, mamba=0.5), summary(lstm=0.7, gru=0.8, rnn=0.2, gla=1.0)
    pairs = compare_pairs(first, second)
    assert pairs.architecture.tolist() == ["lstm", "gru", "rnn"]
    (row,) = compare_tasks(pairs).to_dict("records")
    assert (row["architectures"], row["same"], row["largest"]) == (3, 2, "lstm")
    assert row["difference"] == pytest.approx(0.3)
    assert row["correlation"] == pytest.approx(0.5)
    (shown,) = tasks_table(pairs).frame.to_dict("records")
    assert (shown["largest difference"], shown["same verdict"]) == ("0.30 lstm", "2 of 3")
    (changed,) = changed_table(pairs).frame.to_dict("records")
    assert (changed["first run"], changed["second run"]) == ("solved (1.00)", "fits but does not generalize (0.70)")
    words = "2 of 3 pairs have the same verdict (67%). The mean rank correlation over 1 task is 0.50."
    assert agreement_sentence(pairs) == words


def test_failed_pairs_count_as_zero_and_waiting_ones_do_not_count() -> None:
    first = summary(lstm=1.0, gru=1.0, rnn=0.4)
    second = first.assign(status=["failed", "missing", "ok"], exact=[math.nan, math.nan, math.nan])
    pairs = compare_pairs(first, second)
    assert pairs.architecture.tolist() == ["lstm", "rnn"]
    assert pairs.exact_second.tolist()[0] == 0.0
    assert compare_tasks(pairs).difference.tolist() == [1.0]


def test_a_run_without_results_has_no_pair() -> None:
    assert compare_pairs(pd.DataFrame(columns=["architecture", "task"]), summary(lstm=1.0)).empty


@pytest.mark.usefixtures("temporary_folder")
def test_the_command_prints_and_writes_the_comparison() -> None:
    for folder, seed in (("first", 0), ("second", 5)):
        options = [*SMALL, "--first-seed", seed, "--output", folder]
        assert call("run", *LSTM, "-a", "rnn:width=8,depth=1", *PARITY, *options).exit_code == 0
    result = call("compare", "first", "second", "--output", "both.md")
    assert result.exit_code == 0, result.output
    for words in ("Agreement of two runs", "2 of 2 pairs have the same verdict (100%)"):
        assert words in result.stdout
    assert "| parity" in Path("both.md").read_text(encoding="utf-8")
    same = call("compare", "first", "first", "--output", "both.csv")
    assert "have the seeds 0, so they are not independent" in " ".join(same.stdout.split())
    pairs = pd.read_csv("both.csv")
    assert len(pairs) == 2
    assert pairs.same.tolist() == [True, True]


@pytest.mark.usefixtures("temporary_folder")
def test_bad_input_is_one_line() -> None:
    Path("empty").mkdir()
    assert "empty holds no run" in user_error("compare", QUICK, "empty")
    assert "holds no run" in user_error("compare", "nowhere", QUICK)
    assert "have no pair of architecture and task" in user_error("compare", QUICK, REFERENCE / "recall-small")
    assert "both.txt: must end in .md or .csv" in user_error("compare", QUICK, KNOWN, "--output", "both.txt")
    assert "No such file" in user_error("compare", QUICK, KNOWN, "--output", "nowhere/both.md")
