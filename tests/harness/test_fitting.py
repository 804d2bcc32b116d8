"""Steps to fit: the end of the plateau, the fit, both in records of any age, and how the report shows them."""

import math
from pathlib import Path
from typing import Any

import pytest
from factories import made_run
from matplotlib.figure import Figure

from harness.analysis.fitting import first_solved, left_plateau, training_progress
from harness.analysis.load import frames
from harness.registry.catalog import Catalog
from harness.report.fit_plots import steps_to_fit
from harness.report.results import Results
from harness.report.style import PAPER
from harness.report.training_tables import steps_table

REFERENCE = Path(__file__).resolve().parents[2] / "results" / "reference"
RATES = (0.001, 0.01)


def curve(*losses: float | None) -> list[dict[str, Any]]:
    return [{"step": 10 * (place + 1), "loss": loss} for place, loss in enumerate(losses)]


@pytest.fixture(scope="module")
def results() -> Results:
    return Results.of(*made_run(("lstm", "mamba"), ("parity",), 5, RATES, (1000,), tuning=2))


@pytest.mark.parametrize(
    ("losses", "step"),
    [
        ((1.0, 0.9, 0.8, 0.3, 0.1), 40),  # half way between 1.0 and 0.1 is 0.55
        ((1.0, 0.9, 0.8, 0.56, 0.1), 50),
        ((1.0, 0.9, 0.6), math.nan),  # the smallest loss is above half of the first
        ((1.0, 0.5), 20),
        ((1.0, None, math.inf, 0.1), 40),
        ((0.5,), math.nan),
        ((0.0, 0.0), math.nan),
        ((), math.nan),
        ((None, math.nan), math.nan),
    ],
)
def test_the_plateau_ends_half_way_to_the_smallest_loss(losses: tuple[float, ...], step: float) -> None:
    assert left_plateau(curve(*losses)) == pytest.approx(step, nan_ok=True)


def test_the_first_solved_validation_stands_for_the_fit() -> None:
    points = curve(1.0, 0.5, 0.1, 0.1)
    points[1]["validation_exact"], points[2]["validation_exact"], points[3]["validation_exact"] = 0.99, 1.0, 1.0
    assert first_solved(points) == 30
    assert math.isnan(first_solved(curve(1.0, 0.5)))


def test_older_records_take_the_fit_from_their_curve() -> None:
    cells, _, _ = frames([REFERENCE / "quick"], Catalog())
    fitted = cells[cells.fitted_at.notna()]
    assert 0 < len(fitted) < len(cells)
    for at, points in zip(fitted.fitted_at, fitted.curve, strict=True):
        assert next(point for point in points if point["step"] == at)["validation_exact"] == 1.0
    assert (cells.validate_seconds > 0).all()


def test_progress_is_of_reported_seeds_only(results: Results) -> None:
    assert sorted(results.progress.seed[results.progress.architecture == "lstm"]) == [0, 1, 2, 3, 4]
    assert results.progress.final_loss.notna().all()
    failed = training_progress(results.cells.assign(status="failed", curve=None))
    assert failed.left_plateau.isna().all()
    assert failed.final_loss.isna().all()


def test_the_table_gives_median_and_range_or_a_dash(results: Results) -> None:
    rows = steps_table(results).frame.set_index("architecture").to_dict("index")
    assert rows["lstm"] | {"task": ""} == {
        "task": "",
        "left the plateau": "5 of 5",
        "steps to leave it": "125 (100–150)",
        "fitted in training": "5 of 5",
        "steps to fit": "200 (100–300)",
        "steps used": "400 of 1k",
    }
    assert (rows["mamba"]["fitted in training"], rows["mamba"]["steps to fit"]) == ("0 of 5", "–")
    assert rows["mamba"]["steps used"] == "1k of 1k"


def test_a_seed_that_never_fits_is_hollow_at_the_end_of_the_budget(results: Results) -> None:
    ax = Figure().add_subplot()
    (panel,) = steps_to_fit(results).panels
    panel.draw(ax)
    assert [text.get_text() for text in ax.get_yticklabels()] == ["lstm", "mamba"]
    fitted, never = ax.lines
    assert sorted(fitted.get_xdata()) == [100, 150, 200, 250, 300]
    assert fitted.get_markerfacecolor() == results.plot_styles["lstm"].color
    assert list(never.get_xdata()) == [1000] * 5
    assert never.get_markerfacecolor() == PAPER
    starts = [segment[0][0] for segment in ax.collections[1].get_segments()]
    assert starts == results.progress.left_plateau[results.progress.architecture == "mamba"].tolist()


def test_nothing_is_shown_of_a_run_without_trained_models() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 2, (0.001,))
    missing = Results.of(cells.assign(status="missing", curve=None), scores.iloc[:0], meta)
    assert steps_table(missing).frame.empty
    assert not steps_to_fit(missing).panels
