"""The sentences of a report: what was trained, its cost, and models of an earlier version of the code."""

import io
from pathlib import Path

import pandas as pd
import pytest
from factories import made_run
from rich.console import Console

from harness.analysis.load import frames
from harness.registry.catalog import Catalog
from harness.report.markdown import write_markdown
from harness.report.page.findings import finding
from harness.report.results import Results
from harness.report.stale import mark_stale, stale_sentence
from harness.report.summary import cost_sentence, provenance_lines, run_summary, warnings
from harness.report.tables import tables
from harness.report.terminal import terminal_report
from harness.report.write import write_report

RATES = (0.0003, 0.001, 0.003, 0.01, 0.03)
REFERENCES = sorted(path.parent for path in (Path(__file__).parents[2] / "results" / "reference").glob("*/run.json"))


def made(rates: tuple[float, ...] = RATES, tuning: int = 2, seeds: int = 5) -> Results:
    return Results.of(*made_run(("lstm", "mamba"), ("parity", "reverse"), seeds, rates, (1000,), tuning))


def printed(results: Results) -> str:
    console = Console(width=100, record=True, file=io.StringIO())
    console.print(terminal_report(results, 100))
    return console.export_text()


@pytest.mark.parametrize(
    ("rates", "tuning", "words"),
    [
        (RATES, 2, "2 tasks, with 5 seeds at a learning rate chosen from 5 with 2 tuning seeds each: "),
        (RATES[:2], 1, "with 5 seeds at a learning rate chosen from 2 with 1 tuning seed each: "),
        ((0.001,), 0, "2 tasks, with 5 seeds: "),
        ((0.001, 0.01), 0, "with 5 seeds at each of 2 learning rates, of which one is chosen: "),
    ],
)
def test_the_summary_counts_seeds_and_rates(rates: tuple[float, ...], tuning: int, words: str) -> None:
    assert words in run_summary(made(rates, tuning))


def test_the_summary_names_the_ways_of_a_report_of_several_runs() -> None:
    given, tuned = made_run(("lstm",), ("parity",), 3, (0.001,)), made_run(("mamba",), ("parity",), 3, RATES, tuning=2)
    both = Results.of(pd.concat([given[0], tuned[0]]), pd.concat([given[1], tuned[1]]), given[2])
    words = "3 seeds at the learning rate that was given or at a learning rate chosen from 5 with 2 tuning seeds each"
    assert words in run_summary(both)


def test_a_run_that_fits_nothing_and_tested_nothing_longer_is_reported() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 1, (0.001,))
    results = Results.of(cells, scores[scores.in_range].assign(exact=0.5), meta)
    assert finding(results, results.main_results[0]).endswith("nothing was tested beyond them.")


def test_a_wrong_length_behind_a_gap_is_not_solved() -> None:
    """A length whose evaluation ran out of memory does not hide a longer one, which is wrong."""
    cells, scores, meta = made_run(("lstm",), ("parity",), 1, (0.001,), (1000,))
    is_gap = scores.length == 25
    exact = (scores.length <= 20).astype(float).mask(scores.length > 25, 0.5).mask(is_gap)
    gap = scores.assign(exact=exact, status=scores.status.mask(is_gap, "out of memory"), n=scores.n.mask(is_gap, 0))
    results = Results.of(cells, gap, meta)
    assert results.summary.solved.tolist() == [0.0]
    assert "every tested length" not in finding(results, results.main_results[0])


def test_models_that_only_choose_rates_are_counted_apart() -> None:
    # one of the five reported seeds of mamba on reverse failed
    assert "59 of 60 planned models are trained, 40 of them only to choose learning rates, 1 failed" in run_summary(
        made()
    )


def test_tuning_seeds_are_no_trials() -> None:
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity",), 5, RATES, (1000,), tuning=2)
    fewer = cells[(cells.architecture == "lstm") | (cells.learning_rate < 0.01)]
    assert not [line for line in warnings(Results.of(fewer, scores, meta)) if "trials" in line]


def test_the_cost_is_that_of_all_models_and_is_split() -> None:
    # 59 finished models of 90 seconds
    words = "took 1.47 core-hours: 1 to choose learning rates and 0.475 for the reported models."
    assert cost_sentence(made()).endswith(words)
    assert words in dict(provenance_lines(made()))["time"][0]
    assert words in " ".join(printed(made()).split())
    assert cost_sentence(made((0.001,), 0)).endswith("took 0.475 core-hours.")


def test_hours_on_a_gpu_are_not_those_of_cores_and_unknown_times_are_left_out() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 2, (0.001,))
    assert "0.05 hours of worker processes" in cost_sentence(Results.of(cells.assign(device="H100"), scores, meta))
    assert cost_sentence(Results.of(cells.assign(train_seconds=None), scores, meta)) == ""


def test_problems_name_tuning_seeds() -> None:
    cells, scores, meta = made_run(("lstm",), ("parity",), 2, (0.001, 0.003), (1000,), tuning=2)
    by_name = {table.name: table for table in tables(Results.of(cells.assign(stale=True), scores, meta))}
    (which,) = by_name["problems"].frame.which
    assert which == "seed 0, 1, tuning seed 0, 1 at 0.001; tuning seed 0, 1 at 0.003"


def test_every_form_of_a_report_says_that_models_are_stale(tmp_path: Path) -> None:
    results = made()
    sentence = "15 of 60 models were trained by an earlier version of the code; their rows are marked *."
    assert stale_sentence(results) == sentence
    assert sentence in warnings(results)
    text = " ".join(printed(results).split())
    assert text.index(sentence) < text.index("Solved to")
    page = write_report(results, tmp_path).read_text(encoding="utf-8")
    assert page.index(sentence) < page.index("<main>")
    markdown = write_markdown(results, tmp_path).read_text(encoding="utf-8")
    assert markdown.index(sentence) < markdown.index("\n## ")


def test_rows_of_stale_models_are_marked() -> None:
    by_name = {table.name: table for table in tables(made())}
    for name in ("detail", "lengths", "cost-by-task", "learning-rates", "steps-to-fit"):
        frame = by_name[name].frame
        assert set(frame.architecture[frame.task == "reverse"]) == {"lstm*", "mamba"}, name
        assert set(frame.architecture[frame.task == "parity"]) == {"lstm", "mamba"}, name
        assert by_name[name].caption.endswith("*: trained by an earlier version of the code.")
        assert "lstm*" not in by_name[name].data.astype(str).to_numpy()
    assert list(by_name["cost"].frame.architecture) == ["lstm*", "mamba"]
    solved = by_name["solved-to"].frame.set_index("architecture")
    assert [("*" in solved[task]["lstm"]) for task in ("parity", "reverse")] == [False, True]


def test_current_models_are_not_marked() -> None:
    cells, scores, meta = made_run(("lstm",), ("reverse",), 2, (0.001,))
    current = Results.of(cells.assign(stale=False), scores, meta)
    assert stale_sentence(current) == ""
    for table in tables(current):
        assert mark_stale(table, current) is table


@pytest.mark.parametrize("folder", REFERENCES, ids=lambda folder: folder.name)
def test_a_committed_reference_run_that_is_stale_says_so(folder: Path) -> None:
    """``lengthwise pack results/reference/NAME`` writes the report again."""
    sentence = stale_sentence(Results.of(*frames([folder], Catalog())))
    assert sentence in (folder / "report.md").read_text(encoding="utf-8")
