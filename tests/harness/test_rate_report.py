"""Learning rates in the report: scores at all rates, windows, the plot, and captions about how a rate was chosen."""

import doctest
import math
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from factories import ARCHITECTURES, made_run
from matplotlib.figure import Figure

import harness.report.rate_tables
from harness.analysis.learning_rate_windows import rate_windows, window_widths
from harness.analysis.schema import CELLS, complete
from harness.analysis.statistics import compare_learning_rates
from harness.config.cell import TUNING_SEED
from harness.report.captions import SELECTIONS, Table, selection
from harness.report.figure_format import FigureFormat
from harness.report.figures import combined_figure
from harness.report.rate_plots import learning_rates
from harness.report.rate_tables import rates_table, windows_table
from harness.report.results import Results
from harness.report.write import write_report

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)


def tuned(architectures: tuple[str, ...] = ("lstm", "mamba"), tasks: tuple[str, ...] = ("parity",)) -> Results:
    return Results.of(*made_run(architectures, tasks, 5, RATES, (1000,), tuning=2))


def windows(validations: dict[float, float], task: str = "parity") -> pd.DataFrame:
    rows = [
        {"cell": f"{task}{rate}", "architecture": "lstm", "task": task, "seed": 0, "learning_rate": rate}
        | {"status": "done", "validation_exact": exact, "validation_loss": 0.1}
        for rate, exact in validations.items()
    ]
    return rate_windows(compare_learning_rates(complete(pd.DataFrame(rows), CELLS)))


def shown(table: Table) -> dict[str, Any]:
    return table.frame.set_index("architecture").to_dict("index")


@pytest.mark.parametrize(
    ("exact", "factor", "is_open", "gap"),
    [
        ((0.5, 1.0, 1.0, 0.99, 0.9), 10, False, False),
        ((0.5, 1.0, 1.0, 1.0, 1.0), 30, True, False),
        ((0.5, 1.0, 0.5, 1.0, 0.5), 10, False, True),
        ((0.5, 0.9, 1.0, 0.9, 0.5), 1, False, False),
        ((0.5, 0.9, 0.98, 0.9, 0.5), 0, False, False),
    ],
)
def test_a_window_is_the_range_of_rates_that_solve(exact: Any, factor: float, is_open: bool, gap: bool) -> None:
    (row,) = windows(dict(zip(RATES, exact, strict=True))).to_dict("records")
    assert row["factor"] == pytest.approx(factor)
    assert (row["open"], row["gap"]) == (is_open, gap)
    assert (row["tried"], row["solved"]) == (5, sum(value >= 0.99 for value in exact))
    assert row["best"] == max(exact)


def test_one_rate_has_no_window() -> None:
    assert windows({1e-3: 1.0}).empty
    given = Results.of(*made_run(("lstm",), ("parity",), 2, (0.001,), (1000,)))
    assert windows_table(given).frame.empty
    assert "window" not in rates_table(given).frame
    assert not learning_rates(given).panels


def test_widths_are_lower_medians_over_tasks() -> None:
    wide, narrow = windows({1e-3: 1.0, 1e-2: 1.0}), windows({1e-3: 0.1, 1e-2: 0.2}, "reverse")
    (row,) = window_widths(pd.concat([wide, narrow])).to_dict("records")
    assert (row["pairs"], row["solved"], row["factor"]) == (2, 1, 0)
    (row,) = window_widths(wide).to_dict("records")
    assert row["factor"] == pytest.approx(10)
    assert row["open"]


def test_the_table_shows_both_scores_at_every_rate_and_marks_the_chosen_one() -> None:
    rows = shown(rates_table(tuned()))
    assert rows["lstm"]["0.001"] == "▸ 1.000 / 0.71 (loss 0.011)"
    assert rows["lstm"]["0.03"] == "0.463 / 0.57 (loss 0.04)"
    assert (rows["lstm"]["window"], rows["mamba"]["window"]) == ("x10", "none")
    assert shown(windows_table(tuned()))["lstm"] == {"tasks solved at some rate": "1 of 1", "median window": "x10"}


def test_scores_beyond_training_do_not_choose() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 5, RATES, (1000,), tuning=2)
    higher = scores.assign(exact=scores.exact.where(~scores.cell.str.endswith("|0.03"), 1.0))
    results = Results.of(cells, higher, meta)
    rates = results.rates.set_index("learning_rate")
    assert (rates.exact_beyond[0.03], rates.exact_beyond.idxmax()) == (1.0, 0.03)
    assert rates.chosen.idxmax() == 0.001
    assert set(results.selected.seed) == set(range(5))


def test_scores_beyond_are_those_of_the_seeds_that_choose_and_a_failed_one_counts_as_zero() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 5, RATES, (1000,), tuning=2)
    before = Results.of(cells, scores, meta).rates.set_index("learning_rate").exact_beyond
    failed = cells.cell == "lstm|parity|1000001|0.01"
    after = Results.of(cells.assign(status=cells.status.mask(failed, "failed")), scores, meta)
    first = after.grades.set_index("cell").exact["lstm|parity|1000000|0.01"]
    assert after.rates.set_index("learning_rate").exact_beyond[0.01] == pytest.approx(first / 2)
    assert before.notna().all()
    empty = Results.of(cells, scores.iloc[:0], meta)
    assert all(map(math.isnan, empty.rates.exact_beyond))


@pytest.mark.parametrize(
    ("rates", "tuning", "way"), [((0.001,), 0, "given"), (RATES, 2, "tuned"), ((0.001, 0.01), 0, "all seeds")]
)
def test_captions_say_how_rates_were_chosen(rates: tuple[float, ...], tuning: int, way: str) -> None:
    results = Results.of(*made_run(("lstm", "mamba"), ("parity",), 3, rates, (1000,), tuning))
    assert selection(results) == SELECTIONS[way]
    assert rates_table(results).caption.endswith(SELECTIONS[way])


def test_captions_of_runs_that_differ_name_the_pairs() -> None:
    given, others = made_run(("lstm",), ("parity",), 3, (0.001,)), made_run(("mamba",), ("parity",), 3, RATES, tuning=2)
    both = Results.of(*(pd.concat(pair) for pair in zip(given[:2], others[:2], strict=True)), given[2])  # type: ignore[arg-type]
    assert selection(both) == f"1 pair: {SELECTIONS['given']} 1 pair: {SELECTIONS['tuned']}"


def test_the_plot_has_two_lines_for_each_architecture_and_fills_the_chosen_rate() -> None:
    results = tuned(("lstm", "mamba"))
    ax = Figure().add_subplot()
    (panel,) = learning_rates(results).panels
    panel.draw(ax)
    for name in ("lstm", "mamba"):
        color = results.plot_styles[name].color
        lines = [line for line in ax.lines if line.get_color() == color]
        assert [line.get_linestyle() for line in lines] == ["--", "None", "-", "None"]
        assert [len(line.get_xdata()) for line in lines] == [5, 1, 5, 1]
        assert {line.get_markerfacecolor() for line in lines if line.get_linestyle() == "None"} == {color}
    rates = results.rates[results.rates.architecture == "lstm"].sort_values("learning_rate")
    assert list(ax.lines[2].get_ydata()) == list(rates.validation_exact)
    assert list(ax.lines[0].get_ydata()) == list(rates.exact_beyond)


def test_a_variant_whose_models_have_no_chosen_rate_yet_is_reported(tmp_path: Path) -> None:
    """A run with one rate is continued with a search of rates, and reported before its tuning seeds are trained."""
    cells, scores, meta = made_run(("lstm",), ("flip_flop:ignore=0.8",), 2, tuning=1)
    is_tuning = cells.seed >= TUNING_SEED
    cells.loc[is_tuning, "status"], cells.loc[is_tuning, "curve"] = "missing", None
    trained = scores[~scores.cell.isin(cells.cell[is_tuning])]
    page = write_report(Results.of(cells.assign(validation_exact=math.nan), trained, meta), tmp_path)
    assert "sparse" in page.read_text(encoding="utf-8")


def test_panels_are_drawn_for_many_architectures_and_tasks() -> None:
    results = tuned(ARCHITECTURES, ("parity", "reverse", "flip_flop:ignore=0.8"))
    group = learning_rates(results)
    assert [panel.title for panel in group.panels] == ["parity", "reverse", "flip_flop:ignore=0.8"]
    assert len(combined_figure(group, results.plot_styles, FigureFormat()).axes) >= 3


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(harness.report.rate_tables).failed == 0
