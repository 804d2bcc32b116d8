"""The page, the tables and the terminal's tables, on made-up runs."""

import doctest
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pandas as pd
import pytest
from command_line import user_error
from factories import MANY, Run, made_run
from rich.console import Console

import harness.report.latex
import harness.report.number_format
from harness.analysis.schema import ReportMeta
from harness.report.export import csv
from harness.report.parquet import write_parquet
from harness.report.program_length import program_length_table
from harness.report.results import Results
from harness.report.summary import run_summary, warnings
from harness.report.tables import tables
from harness.report.terminal import terminal_report
from harness.report.write import write_report


@pytest.fixture(scope="module")
def run() -> Run:
    return made_run()


@pytest.fixture(scope="module")
def results(run: Run) -> Results:
    return Results.of(*run)


@pytest.fixture(scope="module")
def folder(run: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_report(Results.of(*run), tmp_path_factory.mktemp("report")).parent


def test_every_table_is_written(folder: Path, results: Results) -> None:
    names = {table.name for table in tables(results)}
    assert {path.stem for path in (folder / "tables").glob("*.md")} == names
    assert {path.stem for path in (folder / "tables").glob("*.tex")} == names
    assert {path.stem for path in (folder / "tables").glob("*.csv")} == names | {"cells", "scores", "curves", "errors"}
    summary = pd.read_csv(folder / "tables" / "detail.csv")
    assert sorted(summary.exact.dropna()) == pytest.approx(sorted(results.summary.exact.dropna()))


def read(folder: Path, name: str) -> pd.DataFrame:
    return pd.read_csv(folder / "tables" / f"{name}.csv")


def test_the_data_read_back_with_their_types(folder: Path, results: Results) -> None:
    """Whole numbers, the empty variant, identities in scores and curves, and sizes as JSON."""
    cells, scores, curves = read(folder, "cells"), read(folder, "scores"), read(folder, "curves")
    whole = ["seed", "steps", "steps_used", "train_low", "train_high", "parameters"]
    assert [str(cells[name].dtype) for name in whole] == ["int64"] * len(whole)
    assert (cells.stale.dtype, cells.learning_rate.dtype) == (bool, float)
    assert json.loads(cells.state_bytes[0]) == {"20": 4096, "320": 4096}
    assert cells[whole].to_numpy().tolist() == results.cells[whole].to_numpy().tolist()
    assert set(scores.variant) == {"plain", "sparse"}
    assert [str(scores[name].dtype) for name in ("seed", "step", "length", "in_range")] == [*["int64"] * 3, "bool"]
    by_cell = cells.set_index("cell")
    assert scores.architecture.tolist() == by_cell.architecture[scores.cell].tolist()
    assert scores.exact.dropna().tolist() == pytest.approx(results.scores.exact.dropna().tolist())
    names = ["architecture", "task", "seed", "learning_rate", "step", "loss", "validation_exact", "validation_loss"]
    assert list(curves) == names
    done = results.cells[results.cells.status == "done"]
    assert len(curves) == done.curve.map(len).sum()
    first = [point["loss"] for point in done.curve.iloc[0]]
    assert curves.loss[: len(first)].tolist() == pytest.approx(first)


def test_no_table_loses_a_text_or_gives_a_whole_number_a_decimal_point(folder: Path) -> None:
    lengths, detail = read(folder, "lengths"), read(folder, "detail")
    assert set(lengths.variant) == {"plain", "sparse"}
    assert [str(lengths[name].dtype) for name in ("length", "seeds", "samples")] == ["int64"] * 3
    assert set(detail.variant) == {"plain", "sparse"}
    solved = read(folder, "solved-to").set_index("architecture")
    assert solved["addition@long"]["stack_rnn"] == "not applicable"
    for path in (folder / "tables").glob("*.csv"):
        texts = pd.read_csv(path, dtype=str)
        for name in {"seed", "step", "length", "steps", "seeds", "samples"} & set(texts):
            assert not texts[name].dropna().str.contains(".", regex=False).any(), (path.name, name)


@pytest.mark.parametrize("text", ["=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)"])
def test_a_text_that_looks_like_a_formula_is_neutralised(text: str) -> None:
    frame = pd.DataFrame({"reason": [text, "a=b"], "exact": [-1.0, 0.5], "number": ["-0.5", "+1e-3"]})
    read_back = pd.read_csv(io.StringIO(csv(frame)))
    assert list(read_back.reason) == [f"'{text}", "a=b"]
    assert list(read_back.exact) == [-1.0, 0.5]
    assert list(read_back.number) == [-0.5, 1e-3]


def test_headline_is_solved_to_with_seeds_that_fit(results: Results) -> None:
    headline = next(table for table in tables(results) if table.name == "solved-to").frame.set_index("architecture")
    assert headline.reverse["transformer:position=rope"] == ">=320‡ (3/3 fit)"
    assert headline.reverse["transformer:position=alibi"] == ">=160†‡ (3/3 fit)"
    assert headline.reverse["mamba"] == ">=320‡ (2/3 fit)"
    assert headline["addition@long"]["stack_rnn"] == "n/a"
    assert list(headline.loc["chance"]) == ["0.50", "0.00", "0.50", "0.00"]
    assert list(headline.loc["trained on"]) == ["1–20"] * 4


def test_program_length_table_orders_tasks_by_program_and_marks_those_without(run: Run) -> None:
    cells, scores, meta = run
    two = replace(meta, programs={"reverse": 12, "parity": 4})
    frame = program_length_table(Results.of(cells, scores, two)).frame
    assert list(frame.program) == ["4", "12", "none known", "none known"]
    assert list(frame.task[:2]) == ["parity", "reverse"]
    assert frame.set_index("task").answer["parity"] == "1"
    one = replace(meta, programs={"reverse": 12})
    assert program_length_table(Results.of(cells, scores, one)).frame.empty


def test_captions_name_seeds_and_selection_and_the_maximum_is_no_headline(results: Results) -> None:
    for table in tables(results):
        if table.name in ("solved-to", "beyond-exact", "beyond-token", "detail"):
            assert re.search("Seeds: 2–3; 500 samples.*chosen by validation", table.caption)
        assert ("selected on test" in table.frame.to_string()) == (table.name in ("detail", "published"))


def test_lengths_show_the_questions_seen_in_training(run: Run) -> None:
    cells, scores, meta = run
    few = scores.assign(n=scores.n.where(scores.length > 5, 21))
    table = next(table for table in tables(Results.of(cells, few, meta)) if table.name == "lengths")
    rows = table.frame[(table.frame.task == "parity") & (table.frame.architecture == "lstm")].set_index("length")
    assert list(rows["seen in training"]) == ["1.00", "0.25", "0.25", "–", "–", "–", "–", "–"]
    assert list(rows["samples"]) == ["21", *["500"] * 7]
    assert "It is above 0.5 for parity (5), reverse (5), " in table.caption
    assert "tested on each of them once" in table.caption
    old = Results.of(cells, scores.drop(columns="seen"), meta)
    caption = next(table for table in tables(old) if table.name == "lengths").caption
    assert "Seen in training" not in caption
    assert "each of them once" not in caption


def test_captions_name_the_smallest_test_set(run: Run) -> None:
    cells, scores, meta = run
    few = Results.of(cells, scores.assign(n=scores.n.where(scores.length < 320, 21)), meta)
    assert "; 21–500 samples per length" in next(table for table in tables(few) if table.name == "solved-to").caption
    assert "with 21–500 samples per length" in run_summary(few)


def test_markdown_has_whole_rows(folder: Path) -> None:
    for path in (folder / "tables").glob("*.md"):
        rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("|")]
        assert len({row.count("|") - row.count("\\|") for row in rows}) == 1


def printed(run: Run, width: int = 100) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(terminal_report(Results.of(*run), width))
    return console.export_text()


@pytest.mark.parametrize("width", [80, 100])
@pytest.mark.parametrize("architectures", [("lstm",), MANY])
def test_terminal_tables_fit(architectures: tuple[str, ...], width: int) -> None:
    text = printed(made_run(architectures, seeds=1, rates=(0.001,), steps=(1000,)), width)
    grid = text[: text.index("Solved to is the last")]
    assert max(len(line.rstrip()) for line in grid.splitlines()) <= width
    assert all(name.partition(":")[0] in text for name in architectures)


def test_terminal_breaks_headings_at_their_marks() -> None:
    """Every piece of a long name is on one line."""
    cells, scores, meta = made_run(("lstm",), ("parity", "reverse"), seeds=1, rates=(0.001,), steps=(1000,))
    names = ("addition_scratchpad:hints=102,order=reversed", "group_word:generators=transpositions,group=s5")
    text = printed((cells.replace({"task": dict(zip(("parity", "reverse"), names, strict=True))}), scores, meta), 80)
    for piece in ("addition_", "scratchpad:", "hints=102,", "order=reversed", "transpositions,", "group=s5"):
        assert re.search(rf"(?m)(^| ){re.escape(piece)}($| )", text), piece


def test_terminal_has_the_texts_of_the_page(run: Run) -> None:
    text = printed(run)
    for words in (">=320‡ 3/3 fit", "n/a", "chance 0.50", "1–20 → 320", "64 KiB", "Seeds: 2–3", "by validation"):
        assert words in text


def only(run: Run, status: str) -> Run:
    cells, scores, meta = run
    cells = cells.assign(status=status, curve=None, validation_exact=float("nan"), reason="no reason")
    return cells, scores.iloc[:0], replace(meta, inspections=())


@pytest.mark.parametrize("status", ["failed", "missing", "not applicable", "done"])
def test_a_report_of_no_scores(run: Run, status: str, tmp_path: Path) -> None:
    few = made_run(("lstm", "mamba"), ("parity",), seeds=1, rates=(0.001,))
    page = write_report(Results.of(*only(few, status)), tmp_path).read_text(encoding="utf-8")
    word = {"failed": "failed", "missing": "not run", "not applicable": "n/a", "done": "no scores"}[status]
    assert f'"{word}"' in page
    assert word in printed(only(few, status))


def test_a_report_of_nothing(tmp_path: Path) -> None:
    nothing = pd.DataFrame(), pd.DataFrame(), ReportMeta()
    assert write_report(Results.of(*nothing), tmp_path).is_file()
    assert "Nothing has been trained yet" in printed(nothing)


def test_intervals_only_from_five_seeds_on() -> None:
    for seeds, has_interval in ((4, False), (5, True)):
        few = Results.of(*made_run(("lstm",), ("parity",), seeds, rates=(0.001,), steps=(1000,)))
        detail = next(table for table in tables(few) if table.name == "detail")
        assert detail.frame["exact, IQM"].str.contains(r"\[", regex=True).all() == has_interval


def test_warns_of_unequal_trials() -> None:
    cells, scores, meta = made_run(("lstm", "mamba"), ("parity",), seeds=2, rates=(0.001,), steps=(1000,))
    unequal = cells[(cells.architecture == "lstm") | (cells.seed == 0)]
    assert any("different numbers of trials on parity" in line for line in warnings(Results.of(unequal, scores, meta)))


def test_a_cell_in_two_runs_counts_once(run: Run, results: Results) -> None:
    cells, scores, meta = run
    older = cells[cells.status != "not applicable"].assign(status="missing", run="older")
    twice = Results.of(pd.concat([cells, older]), pd.concat([scores, scores]), meta)
    pd.testing.assert_frame_equal(twice.summary, results.summary)


@pytest.mark.parametrize("module", [harness.report.latex, harness.report.number_format])
def test_examples_in_docstrings(module: ModuleType) -> None:
    assert doctest.testmod(module) == (0, doctest.testmod(module).attempted)


def test_a_report_without_figures_needs_no_scipy_and_no_matplotlib() -> None:
    """Importing either takes longer than to write a small report."""
    program = (
        "import harness.report.write, harness.report.terminal, sys; from harness.analysis.comparisons import "
        "critical_distance; critical_distance(5, 10); print({'scipy', 'matplotlib', 'seaborn'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_importing_the_report_is_light() -> None:
    heavy = "import harness.report, sys; print({'pandas', 'matplotlib', 'scipy', 'jinja2'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", heavy], capture_output=True, text=True, check=True).stdout == "set()\n"


def test_the_parquet_file_has_every_score_point_and_model(results: Results, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    frame = pd.read_parquet(write_parquet(results, tmp_path / "all.parquet"))
    cells, done = results.cells, results.cells[results.cells.status == "done"]
    counts = {"score": len(results.scores), "training": done.curve.map(len).sum(), "model": len(cells) - len(done)}
    assert frame.kind.value_counts().to_dict() == counts
    assert set(frame.cell) == set(cells.cell)
    scores = frame[frame.kind == "score"]
    assert scores.exact.tolist() == pytest.approx(results.scores.exact.tolist(), nan_ok=True)
    assert scores.architecture.astype(str).tolist() == [cell.partition("|")[0] for cell in results.scores.cell]
    assert (str(frame.seed.dtype), str(frame.length.dtype), str(frame.fit.dtype)) == ("Int64", "Int64", "boolean")
    assert set(frame[frame.kind == "model"].status) == {"failed", "missing", "not applicable"}


def test_parquet_without_pyarrow_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.parquet.find_spec", lambda name: None)
    line = user_error("report", "nowhere", "--parquet")
    assert "pip install 'lengthwise[parquet]'" in line


def test_the_terminal_begins_with_findings_and_has_intervals_where_there_is_room() -> None:
    run = made_run(("lstm", "mamba"), ("parity", "reverse"), 5, (0.001,), (1000,))
    narrow, wide = (" ".join(printed(run, width).split()) for width in (50, 120))
    assert narrow.index("fit the training lengths") < narrow.index("Solved to")
    assert "with 95% interval" in wide
    assert re.search(r"\d\.\d\d\)? \[\d\.\d\d, \d\.\d\d\]", wide)
    assert "95% interval" not in narrow
