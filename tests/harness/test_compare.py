"""Reproducibility: rank correlation, verdicts and their change, and the command that prints them."""

import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import typer
from command_line import LSTM, PARITY, SMALL, call, user_error
from scipy.stats import spearmanr, ttest_ind

from harness.analysis.differences import BETTER, UNCLEAR, UNJUDGED, WORSE, compare_seeds, seed_lengths
from harness.analysis.reproducibility import compare_pairs, compare_tasks, rank_correlation, verdict
from harness.cli.compare import _gate
from harness.errors import UserError
from harness.report.reproducibility import agreement_sentence, changed_table, tasks_table

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
QUICK, KNOWN, SECOND = (REFERENCE / name for name in ("quick", "known-results", "quick-second-seeds"))


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


def seeds_of(scores: dict[str, list[float]]) -> pd.DataFrame:
    rows = [
        {"architecture": name, "task": "parity", "seed": seed, "variant": "", "status": "ok", "in_range": length <= 5}
        | {"length": float(length), "exact": 1.0 if length <= 5 else score}
        for name, of_name in scores.items()
        for seed, score in enumerate(of_name)
        for length in (5, 10, 20)
    ]
    return pd.DataFrame(rows)


def failed_seeds(name: str, seeds: range) -> pd.DataFrame:
    return pd.DataFrame([{"architecture": name, "task": "parity", "seed": seed} for seed in seeds])


def test_a_pair_got_worse_where_its_interval_is_below_zero() -> None:
    nothing = failed_seeds("", range(0))
    first = {"same": [0.9, 1.0, 0.95], "worse": [1.0, 0.99, 1.0], "noisy": [1.0, 0.2, 0.9], "one": [1.0], "gone": [1.0]}
    first |= {"slightly": [1.0, 1.0, 1.0], "better": [0.1, 0.1, 0.12], "failing": [0.5, 0.52, 0.5, 0.5]}
    second = {"same": [0.96, 0.9, 1.0], "worse": [0.5, 0.52, 0.49], "noisy": [0.1, 0.9, 0.5], "one": [0.5]}
    second |= {"slightly": [0.99, 0.99, 0.99], "better": [0.9, 0.9, 0.91]}
    differences = compare_seeds(
        seed_lengths(seeds_of(first), nothing), seed_lengths(seeds_of(second), failed_seeds("failing", range(4)))
    ).set_index("architecture")
    expected = {"same": UNCLEAR, "worse": WORSE, "noisy": UNCLEAR, "one": UNJUDGED, "slightly": UNCLEAR}
    assert differences.change.to_dict() == {**expected, "better": BETTER, "failing": WORSE}
    row = differences.loc["noisy"]
    interval = ttest_ind(second["noisy"], first["noisy"], equal_var=False).confidence_interval(1 - 0.05 / 6)
    assert (row.low, row.high) == pytest.approx(tuple(interval))


def test_runs_with_other_seeds_pass_the_gate() -> None:
    result = call("compare", QUICK, SECOND, "--fail-if-worse")
    assert (result.exit_code, "Of 21 pairs 0 got worse" in result.stdout) == (0, True)


def test_the_gate_names_each_pair_that_got_worse(capsys: pytest.CaptureFixture[str]) -> None:
    worse = seed_lengths(seeds_of({"lstm": [0.1, 0.2, 0.1]}), failed_seeds("", range(0)))
    differences = compare_seeds(worse.assign(exact=1.0), worse)
    with pytest.raises(typer.Exit) as stop:
        _gate(differences, QUICK, SECOND)
    assert stop.value.exit_code == 1
    line = "worse: lstm on parity: 1.00 to 0.13, difference -0.87 [-1.01, -0.72]"
    assert capsys.readouterr().out.splitlines() == [line]
    with pytest.raises(UserError, match="run with more --seeds"):
        _gate(differences.assign(change=UNJUDGED), QUICK, SECOND)
