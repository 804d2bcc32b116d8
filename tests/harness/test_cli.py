"""The ``lengthwise`` command: what each command prints and writes, and that help and lists import nothing heavy."""

import ast
import csv
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command_line import json_lines
from typer.testing import CliRunner, Result

from harness.cli import app
from harness.cli.set_options import settings
from harness.cli.suite_options import Overrides, suite_of
from harness.config.custom import default_output
from harness.registry.catalog import Catalog

SUITE = """
name = "mine"
title = "A suite of mine"
description = "What it asks."
architectures = ["lstm", "lstm:depth=1", "transformer_encdec"]
seeds = 2
learning_rates = [1e-3, 3e-3]
samples = 8
test_lengths = "5:9"
[model]
width = 8
[recipe]
steps = 4
batch_size = 4
warmup = 0
train_lengths = "1:4"
[[tasks]]
task = "parity"
steps = 3
test_lengths = "6"
[[tasks]]
task = "addition:base=2"
[[evaluation]]
name = "hinted"
task = "addition:base=2,order=reversed"
test_lengths = "5"
"""
SMALL = ["--steps", "3", "--seeds", "1", "--learning-rate", "0.001", "--workers", "1", "--samples", "8"]
SMALL += ["--set", "batch_size=4", "--set", "warmup=0"]


@pytest.fixture(autouse=True)
def suite(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "mine.toml"
    path.write_text(SUITE)
    return path


@pytest.fixture
def no_plots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("harness.report.write.write_report", lambda results, folder: folder / "report.html")


def call(*arguments: object, code: int = 0) -> Result:
    result = CliRunner().invoke(app, list(map(str, arguments)))
    assert result.exit_code == code, result.output
    return result


def words(output: str) -> list[list[str]]:
    return [line.split() for line in output.splitlines() if line.strip()]


def files(folder: str) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in Path(folder).rglob("*") if path.is_file()}


def test_help_and_lists_import_nothing_heavy() -> None:
    lines = [["--help"], ["run", "--help"], ["list", "architectures"], ["list", "tasks", "--json"], ["list", "suites"]]
    heavy = {"torch", "numpy", "pandas", "seaborn", "matplotlib", "scipy", "jinja2"}
    program = f"""
import sys
from typer.testing import CliRunner
from harness.cli import app
for line in {lines}:
    assert CliRunner().invoke(app, line).exit_code == 0
print(sorted({heavy} & set(sys.modules)))
"""
    process = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ast.literal_eval(process.stdout) == []


def test_without_a_command_help_is_shown() -> None:
    output = call().stdout
    for name in ("run", "evaluate", "report", "list", "show", "new", "check", "doctor", "bench"):
        assert f"│ {name} " in output
    assert call("--version").stdout.startswith("lengthwise 0.")


@pytest.mark.parametrize(("what", "kind"), [("architectures", "architecture"), ("tasks", "task")])
def test_lists_show_the_catalog(what: str, kind: Any) -> None:
    entries = Catalog().entries[kind]
    rows = json.loads(call("list", what, "--json").stdout)
    assert [(row["name"], row["family"]) for row in rows] == [(e.name, e.family) for e in entries.values()]
    assert all(row["summary"] for row in rows)
    table = call("list", what).stdout
    assert all(name in table for name in entries)


def test_a_suite_that_cannot_be_read_is_listed_with_the_error(monkeypatch: pytest.MonkeyPatch, suite: Path) -> None:
    (suite.parent / "bad.toml").write_text("title =")
    monkeypatch.setattr("harness.config.suite_files.SUITES", suite.parent)
    rows = {row["name"]: row["title"] for row in json.loads(call("list", "suites", "--json").stdout)}
    assert rows["mine"] == "A suite of mine"
    assert rows["bad"].startswith("<broken: ")


def test_show_an_architecture() -> None:
    output = call("show", "transformer:width=32,depth=1").stdout
    assert "transformer:depth=1,width=32  architecture · attention" in output
    assert [line.rstrip() for line in output.splitlines() if "number of heads" in line] == [
        "    h        number of heads           <-> heads      (H)"
    ]
    assert "``" not in output
    from harness.cli.measured_facts import BINARY
    from harness.models.cost import parameters
    from harness.registry.options import Spec, build_model

    spec = Spec.parse("architecture", "transformer:width=32,depth=1", Catalog())
    assert f"{parameters(build_model(spec, BINARY)):,}" in output
    rows = words(output)
    assert ["heads", "int", ">=", "1", "4", "attention", "heads", "H."] in rows
    assert ["math", "✓", "math"] in rows
    assert any(row[:2] == ["flash_attn", "–"] and row[-1] == '"lengthwise[flash]"' for row in rows)


def test_show_a_task() -> None:
    rows = words(call("show", "parity").stdout)
    assert ["1", "0", "1", "1", "1"] in rows
    five, forty = (next(row for row in rows if row[0] == length) for length in ("5", "40"))
    assert 0.4 < float(five[1]) < 0.6
    assert [five[3], forty[3]] == ["32", "2,048"]
    assert {five[4], five[6]} == {"0", "1"}
    assert all(45 < float(row[i].rstrip("%")) < 55 for row in (five, forty) for i in (5, 7))


def test_show_a_suite(suite: Path) -> None:
    output = call("show", suite).stdout
    assert "What it asks." in output
    assert "24 cells" in output
    assert "hinted: addition:base=2,order=reversed" in output


def test_options_override_the_suite_and_its_tasks(suite: Path) -> None:
    recipe = settings(["batch_size=2", "answer=none"], steps=7)
    overrides = Overrides(["lstm"], ["parity"], {"seeds": 5, "samples": None, "test_lengths": "9"}, recipe)
    chosen = suite_of(str(suite), overrides)
    assert (chosen.architectures, chosen.seeds, chosen.samples, chosen.test_lengths) == (["lstm"], 5, 8, "9")
    assert [(entry.task, entry.test_lengths, entry.overrides) for entry in chosen.tasks] == [("parity", None, {})]
    assert chosen.recipe == {"steps": 7, "batch_size": "2", "answer": None, "warmup": 0, "train_lengths": "1:4"}
    assert not chosen.evaluation


def test_a_task_of_the_suite_keeps_its_settings(suite: Path) -> None:
    chosen = suite_of(str(suite), Overrides(tasks=["majority", "parity", "addition:base=2"]))
    entries = [(entry.task, entry.overrides, entry.test_lengths) for entry in chosen.tasks]
    assert entries == [("majority", {}, None), ("parity", {"steps": 3}, "6"), ("addition:base=2", {}, None)]
    assert [variant.name for variant in chosen.evaluation] == ["hinted"]
    suite.write_text(SUITE.replace('name = "hinted"', 'name = "hinted"\nof = "addition:base=2"'))
    evaluations = {
        task: suite_of(str(suite), Overrides(tasks=[task])).evaluation for task in ("addition:base=2", "addition")
    }
    assert [len(variants) for variants in evaluations.values()] == [1, 0]


def test_architectures_and_tasks_define_a_custom_suite() -> None:
    chosen = suite_of(None, Overrides(["lstm"], ["parity"], recipe=settings([], train_lengths="1:30")))
    assert (chosen.name, chosen.recipe, chosen.test_lengths) == ("custom", {"train_lengths": "1:30"}, "31:150")


def test_set_sweeps_recipe_keys_and_options() -> None:
    values = settings(["width=8,16", "batch_size=4,8", "base=2", "answer=none"], steps=7)
    chosen = suite_of(None, Overrides(["lstm", "gru:width=3"], ["parity", "addition"], recipe=values))
    assert chosen.architectures == ["lstm:width=8", "lstm:width=16", "gru:width=3"]
    tasks = [(entry.task, entry.overrides) for entry in chosen.tasks]
    assert tasks == [(t, {"batch_size": size}) for t in ("parity", "addition:base=2") for size in ("4", "8")]
    assert chosen.recipe == {"steps": 7, "answer": None}
    longest = suite_of(None, Overrides(["lstm"], ["parity"], recipe=settings(["train_lengths=1:5,1:8"])))
    assert longest.test_lengths == "9:40"


def test_set_applies_to_the_architectures_that_a_task_names(suite: Path) -> None:
    suite.write_text(SUITE.replace('test_lengths = "6"', 'test_lengths = "6"\narchitectures = ["lstm:depth=1"]'))
    chosen = suite_of(str(suite), Overrides(recipe=settings(["width=4,5"])))
    assert chosen.architectures[2:4] == ["lstm:depth=1,width=4", "lstm:depth=1,width=5"]
    assert chosen.tasks[0].architectures == ["lstm:depth=1,width=4", "lstm:depth=1,width=5"]


def test_a_custom_run_has_a_folder_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    def folder(*pairs: str, seeds: int = 1, architectures: Sequence[str] = ("lstm", "gru")) -> Path:
        values = Overrides(list(architectures), ["parity"], {"seeds": seeds}, settings(pairs))
        return default_output(suite_of(None, values))

    same = {folder(), folder(seeds=3), folder(architectures=("gru", "lstm"))}
    assert len(same) == 1
    assert len({*same, folder("steps=3"), folder(architectures=("gru",))}) == 3
    monkeypatch.setenv("LENGTHWISE_RESULTS", "elsewhere")
    assert re.fullmatch(r"elsewhere/custom-[0-9a-f]{4}", str(folder()))


def test_a_run_says_what_it_takes_from_the_default_suite(monkeypatch: pytest.MonkeyPatch) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.execution.run.execute", stop)
    output = call("run", "-a", "lstm:width=8,depth=1", "--seeds", 2, "--learning-rate", "0.1", code=130).stderr
    assert "No -t is given, so the run takes the 3 tasks of suite quick: parity, majority, reverse:alpha" in output
    assert "6 models to train: at most about" in output


def test_output_can_be_json(suite: Path) -> None:
    preview = json.loads(call("run", suite, "--dry-run", "--json", "-t", "parity", "-a", "lstm").stdout)
    assert (preview["suite"], preview["to_train"], preview["errors"]) == ("mine", 4, [])
    assert preview["tasks"][0]["lengths"]["plain"][-1] == 6
    [shown] = json.loads(call("show", "parity", "--json").stdout)
    assert shown["examples"][0]["answer"] == "1"
    [shown] = json.loads(call("show", "lstm:width=8", "--json").stdout)
    assert {option["name"]: option["default"] for option in shown["options"]}["width"] == 64
    assert json.loads(call("show", suite, "--json").stdout)[0]["cells"] == 24
    assert {"section": "Versions", "subject": "torch"}.items() <= json.loads(call("doctor", "--json").stdout)[2].items()


@pytest.mark.usefixtures("no_plots")
def test_a_report_of_a_selection(suite: Path) -> None:
    run = call("run", suite, *SMALL, "-a", "lstm", "-a", "gru", "-t", "parity", "-q", "--output", "run")
    assert (run.stderr, "gru" in run.stdout) == ("", True)
    result = call("report", "run", "--architecture", "l*", "--task", "parity*", "--json")
    assert "Report: run/selection/report.html" in result.stderr
    [row] = json.loads(result.stdout)
    assert (row["architecture"], row["task"], row["planned"]) == ("lstm", "parity", 1)
    refused = CliRunner().invoke(app, ["report", "run", "-a", "lsmt*"])
    assert (refused.exit_code, "matches 'lsmt*'; did you mean lstm?" in refused.stderr) == (2, True)


def test_the_width_of_piped_output_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    rows = call("list", "architectures", "--family", "recurrent").stdout.splitlines()
    assert 50 < max(map(len, rows)) <= 60
    assert " architectures" in rows[1]


WORDS = {
    "run -a transformer_": "transformer_encdec",
    "run known": "known-results",
    "check parity_": "parity_scratchpad",
}


@pytest.mark.parametrize("line", WORDS)
def test_a_shell_completes_names(line: str) -> None:
    words = f"lengthwise {line}"
    environment = {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))}
    result = CliRunner().invoke(app, [], env={"_LENGTHWISE_COMPLETE": "complete_bash", **environment})
    assert result.stdout.split() == [WORDS[line]]


def test_a_dry_run_prints_the_plan_and_writes_nothing(suite: Path) -> None:
    output = call("run", suite, "--dry-run").stdout
    assert "24 cells, 24 to train" in output
    assert "36 groups to train" in output
    assert "measured just now" in output
    rows = words(output)
    assert any(row[0] == "lstm:depth=1,width=8" and row[-5:-2] == ["2", "12", "12"] for row in rows)
    assert any(row[:5] == ["parity", "readout", "1", "to", "4"] for row in rows)
    assert [path.name for path in Path().iterdir()] == ["mine.toml"]


def test_a_dry_run_lists_pairs_that_are_not_applicable(suite: Path) -> None:
    suite.write_text(SUITE.replace('["lstm",', '["lstm", "transformer:position=learned,reach=5",'))
    output = call("run", suite, "--dry-run").stdout
    assert "Not applicable" in output
    assert "beyond its reach of 5" in output


def test_a_run_writes_its_report(suite: Path) -> None:
    output = call("run", suite, *SMALL, "-a", "lstm:depth=1", "-t", "parity").stderr
    assert "Report: results/mine/report.html" in output
    assert "A suite of mine" in Path("results/mine/report.html").read_text()


def test_a_run_without_work_leaves_its_report_as_it_is(suite: Path) -> None:
    run, page = ("run", suite, *SMALL, "-a", "lstm:depth=1", "-t", "parity"), Path("results/mine/report.html")
    assert "Solved to" in call(*run).stdout
    again, written = call(*run), page.stat().st_mtime_ns
    assert "Nothing is missing. Report: results/mine/report.html" in again.stderr
    assert ("Solved to" in again.stdout, page.stat().st_mtime_ns) == (False, written)
    next(Path("results/mine/cells").glob("*/evaluations.jsonl")).touch()  # as if killed before the page was written
    assert "Solved to" in call(*run).stdout
    assert page.stat().st_mtime_ns > written
    suite.write_text(suite.read_text().replace("A suite of mine", "Another title"))
    assert "Solved to" in call(*run).stdout
    assert "Another title" in page.read_text()


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize("dry", [[], ["--dry-run"]])
def test_a_run_and_its_plan_show_the_notes(suite: Path, dry: list[str]) -> None:
    arguments = ["-a", "lstm:depth=1", "-t", "parity", "--seeds", "1", "--workers", "1", "--set", "warmup=9", *dry]
    output = " ".join(call("run", suite, *arguments).output.split())
    assert "parity: the warm-up of 9 steps is longer than the training of 3" in output
    assert "ends at 33% of its peak" in output


@pytest.mark.usefixtures("no_plots")
def test_a_second_run_trains_nothing(suite: Path) -> None:
    run = ("run", suite, "--seeds", 1, "--learning-rate", "0.003", "--workers", "1")
    first = call(*run)
    assert "Suite mine, records in results/mine: 6 cells, 6 to train." in first.stderr
    assert "[6/6] " in first.stderr
    assert "Solved to" in first.stdout
    before = files("results/mine/cells")
    second = call(*run)
    assert "6 cells, 6 done." in second.stderr
    assert files("results/mine/cells") == before


@pytest.mark.usefixtures("no_plots")
def test_more_lengths_and_variants_without_training(suite: Path) -> None:
    call("run", suite, *SMALL, "-a", "lstm:depth=1")
    training = {path: stamp for path, stamp in files("results/mine/cells").items() if path.name == "training.json"}
    evaluate = ("evaluate", "results/mine", "--workers", "1", "--test-lengths")
    assert "[2/2]" in call(*evaluate, "12,14").stderr
    assert "[1/1]" in call(*evaluate, "3", "-t", "addition:base=2,padding=2", "--variant", "padded").stderr
    assert not call(*evaluate, "12,14").stderr.startswith("[")
    evaluated = {
        (e["variant"], e["length"]) for path in Path("results").rglob("evaluations.jsonl") for e in json_lines(path)
    }
    assert {("", 12), ("", 14), ("padded", 3), ("hinted", 5)} <= evaluated
    assert {path: path.stat().st_mtime_ns for path in training} == training


@pytest.mark.usefixtures("no_plots")
def test_a_report_of_several_runs_and_of_a_plugin_that_was_deleted(suite: Path) -> None:
    call("new", "architecture", "fleeting")
    run = ("run", *SMALL, "-t", "parity", "--train-lengths", "1:4", "--test-lengths", "5")
    call(*run, "-a", "fleeting:width=8", "--plugin", "fleeting.py", "--output", "runs/a")
    call(*run, "-a", "lstm:width=8", "--output", "runs/b")
    Path("fleeting.py").unlink()
    output = call("report", "runs/a", "runs/b").output
    assert "Report: runs/a+b/report.html" in output
    assert "fleeting" in output
    assert "lstm" in output
    assert "Report: elsewhere/report.html" in call("report", "runs/a", "--output", "elsewhere").stderr


@pytest.mark.usefixtures("no_plots")
@pytest.mark.parametrize(
    ("kind", "specs"),
    [("architecture", ["-a", "my_own.py:width=8", "-t", "parity"]), ("task", ["-t", "my_own.py", "-a", "lstm"])],
)
def test_a_starter_file_works(kind: str, specs: list[str]) -> None:
    output = call("new", kind, "my_own").stdout
    assert "lengthwise check my_own.py" in output
    text = Path("my_own.py").read_text()
    assert "class MyOwn(" in text
    assert "Starter" not in text
    assert "All checks passed" in call("check", "my_own.py").stdout
    assert "my_own" in call("list", f"{kind}s", "--plugin", "my_own.py").stdout
    assert "plug-in" in call("show", specs[1]).stdout
    call("run", *specs, *SMALL, "--train-lengths", "1:4", "--test-lengths", "5")
    second = CliRunner().invoke(app, ["new", kind, "my_own"])
    assert second.exit_code == 2
    assert "exists already" in second.stderr
    assert Path("my_own.py").read_text() == text


def test_a_starter_of_a_program_passes_the_checks() -> None:
    assert "run -t my_own.py:my_own" in call("new", "program", "my_own").stdout
    path = Path("my_own.py")
    path.write_text(path.read_text().replace("abcdefghijklmnopqrstuvwxyz", "abcdefgh"))  # fewer letters are faster
    assert "All checks passed" in call("check", "my_own.py").stdout


def test_a_failed_check_is_explained() -> None:
    call("new", "architecture", "peeks")
    path = Path("peeks.py")
    path.write_text(path.read_text().replace("x.unbind(1)", "x.flip(1).unbind(1)"))
    result = CliRunner().invoke(app, ["check", "peeks.py"])
    assert result.exit_code == 1
    assert "✗ Where the model is declared causal" in result.stdout
    assert "failed" in result.stdout.splitlines()[-1]


LINES = ["list architectures", "list tasks", "show mamba", "show addition", "run mine.toml --dry-run", "check parity"]


@pytest.mark.parametrize("line", LINES)
def test_output_fits_the_page_width(line: str) -> None:
    assert max(len(row.rstrip()) for row in call(*line.split()).stdout.splitlines()) <= 100


def test_the_doctor_finds_a_package_that_shadows_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    output = call("doctor").stdout
    assert "No errors found" in output
    assert "torch" in output
    assert "flash" in output
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "Python can import another tasks" in call("doctor", code=1).stdout


@pytest.mark.parametrize(("width", "columns"), [(80, 8), (130, 12)])
def test_the_bench_prints_a_row_for_each_architecture(
    width: int, columns: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    output = call("bench", "-a", "lstm:width=8,depth=1", "--steps", "8", "--no-workers", "--output", "bench.csv").stdout
    row = next(line.split() for line in output.splitlines() if line.startswith("lstm"))
    assert len(row) == columns
    assert all(float(number.rstrip("%")) >= 0 for number in row[1:])
    assert float(row[-3]) > 1  # no step is faster than its floor
    written = Path("bench.csv").read_text().splitlines()[1]
    assert written.rsplit(",", 4)[1:] == row[-4:]
    assert len(next(csv.reader([written]))) == 12
