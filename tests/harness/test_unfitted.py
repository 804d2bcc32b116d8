"""Pairs that did not fit: their table, their losses, and the share of pairs that fit."""

import pandas as pd
import pytest
from factories import made_run
from matplotlib.figure import Figure

from harness.report.results import Results
from harness.report.summary import fit_sentence, run_summary
from harness.report.unfitted import unfitted_table
from harness.report.unfitted_plots import unfitted_losses

RATES = (0.001, 0.01)


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.of(*made_run(("lstm", "mamba"), ("parity", "reverse"), 5, RATES, (1000,), tuning=2))


def test_pairs_with_few_fitted_seeds_are_listed_with_their_training(results: Results) -> None:
    (row,) = unfitted_table(results).frame.to_dict("records")
    assert row | {"final loss": ""} == {
        **{"task": "parity", "architecture": "mamba", "fit": "0/5", "best validation": "0.564 at 0.001"},
        **{"window": "none", "budget in steps": "1k", "final loss": ""},
    }


@pytest.mark.parametrize(("unfit", "listed"), [(0, 0), (1, 0), (2, 1), (5, 1)])
def test_four_of_five_seeds_are_enough(unfit: int, listed: int) -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 5, (0.001,), (1000,))
    wrong = [f"lstm|parity|{seed}|0.001" for seed in range(unfit)]
    exact = scores.exact.mask(scores.cell.isin(wrong), 0.5)
    assert len(unfitted_table(Results.of(cells, scores.assign(exact=exact), meta)).frame) == listed


def test_failed_pairs_did_not_fit_and_pairs_without_scores_are_unknown() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 2, (0.001,))
    failed = Results.of(cells.assign(status="failed", curve=None), scores.iloc[:0], meta)
    assert unfitted_table(failed).frame.fit.tolist() == ["0/2"]
    unknown = Results.of(cells, scores.iloc[:0], meta)
    assert unknown.fit_shares.empty
    assert fit_sentence(unknown) == ""
    assert Results.of(pd.DataFrame(), pd.DataFrame(), meta).fit_shares.empty


def test_losses_are_those_of_the_listed_pairs(results: Results) -> None:
    group = unfitted_losses(results)
    assert [panel.title for panel in group.panels] == ["parity"]
    assert group.legend == ("mamba",)
    ax = Figure().add_subplot()
    group.panels[0].draw(ax)
    assert ax.get_xlim()[1] >= 1000


def test_the_summary_gives_the_share_of_pairs_by_suite(results: Results) -> None:
    sentence = "At least 80% of the seeds fit their training lengths in 3 of 4 pairs of architecture and task (75%)."
    assert fit_sentence(results) == sentence
    assert sentence in run_summary(results)
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity", "reverse"), 5, RATES, (1000,), tuning=2)
    two = Results.of(cells.assign(run=cells.task.map({"parity": "one", "reverse": "two"})), scores, meta)
    assert "lengths in one: 1 of 2 pairs of architecture and task (50%); two: 2 of 2 pairs" in fit_sentence(two)
