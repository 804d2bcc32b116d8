"""Faults: damaged records are named, models that fail are failed cells, and interrupted runs can be resumed."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from command_line import LSTM, MIXER, PARITY, SMALL, SUITE, call, json_lines, user_error, write

from harness.registry import catalog, fingerprint, normal_code
from harness.registry.plugin_import import forget
from harness.storage.checksum import without_checksum

pytestmark = pytest.mark.usefixtures("temporary_folder")


def test_an_interrupted_run_can_be_resumed(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.execution.run.execute", interrupt)
    result = call("run", *LSTM, *PARITY, *SMALL)
    assert result.exit_code == 130
    text = "interrupted; finished cells and snapshots are kept; give the same command again to resume"
    assert result.stderr == f"lengthwise: {text}\n"


def test_a_damaged_record_is_named_and_not_overwritten() -> None:
    run = ["run", *LSTM, *PARITY, *SMALL, "--output", "run", "--seeds", "2"]
    assert call(*run).exit_code == 0
    for pattern in ("cells/*/training.json", "cells/*/evaluations.jsonl", "run.json"):
        path = next(Path("run").glob(pattern))
        whole = path.read_text()
        # The end of a line in evaluations.jsonl: an unfinished line is no damage.
        for damage in (f"{whole[: len(whole) // 2]}\n", '{"foreign": 1}\n', "\x00\n"):
            path.write_text(damage)
            for command in (run, ["evaluate", "run", "--test-lengths", "9"]):
                assert str(path) in user_error(*command)
                assert path.read_text() == damage
            verified = call("verify", "run")
            if path.name != "run.json":
                assert (verified.exit_code, "1 problem" in verified.stdout) == (1, True)
                report = call("report", "run")
                assert report.exit_code == 0
                assert f"left out: damaged record {path}" in " ".join(report.output.split())
        path.write_text(whole)
    assert call(*run).exit_code == 0


def test_damaged_weights_are_named() -> None:
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    path = next(Path("run").glob("cells/*/weights-3.safetensors"))
    path.write_bytes(path.read_bytes()[:100])
    assert str(path) in user_error("evaluate", "run", "--test-lengths", "9", "--workers", "1")


def test_a_record_of_another_format_is_an_error() -> None:
    assert call("run", *LSTM, *PARITY, *SMALL, "--output", "run").exit_code == 0
    path = Path("run/run.json")
    path.write_bytes(without_checksum(path.read_bytes()).replace(b'"schema_version": 1', b'"schema_version": 0'))
    assert "record format 0" in user_error("run", *LSTM, *PARITY, *SMALL, "--output", "run")
    assert "record format 0" in user_error("report", "run")


FAILURES = {
    "diverges": ("return self.inner(x) * float('nan')", "diverged"),
    "raises": ("raise RuntimeError('cannot go on')", "raised RuntimeError: cannot go on"),
    "raises_late": ("return self.inner(x) if x.shape[1] < 8 else 1 / 0", "raised ZeroDivisionError"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_model_that_fails_is_a_failed_cell_and_the_run_continues(name: str) -> None:
    body, reason = FAILURES[name]
    plugin = write(f"{name}.py", MIXER.format(body=body))
    run = ["run", "--plugin", plugin, "-a", f"{name}:width=8", *LSTM, *PARITY, *SMALL, "--output", "run"]
    result = call(*run)
    assert result.exit_code == 1, result.output
    assert reason in result.output
    assert "FAILED" in result.output
    assert result.output.index("FAILED") < result.output.index("[2/2] lstm")
    assert result.output.count("lstm") > 1
    assert "Report: run/report.html" in result.output
    assert call(*run).exit_code == 1
    records = [json.loads(path.read_text()) for path in Path("run").glob("cells/*/failure.json")]
    if name != "raises_late":
        assert [record["reason"][:8] for record in records] == [reason[:8]]
        assert "failed" in result.stdout.split("Solved to")[1]


def test_a_model_that_cannot_be_built_is_a_failed_cell() -> None:
    text = MIXER.format(body="return x").replace("super().__init__()", "super().__init__(); self.rate = 1 / 0")
    plugin = write("unbuilt.py", text)
    run = ["run", "--plugin", plugin, "-a", "unbuilt:width=8", *LSTM, *PARITY, *SMALL, "--output", "run"]
    preview = call(*run, "--dry-run")
    assert preview.exit_code == 1, preview.output
    assert "raises" in preview.output
    result = call(*run)
    assert result.exit_code == 1
    assert "ZeroDivisionError" in result.output


PLANNING = {
    "lazy": ("nn.Linear(width, width)", "nn.LazyLinear(width)", "has no shape before the first forward"),
    "raises": ("super().__init__()", "super().__init__(); raise RuntimeError('no such file')", "no such file"),
    "divides": ("super().__init__()", "super().__init__(); 1 / 0", "ZeroDivisionError"),
}


@pytest.mark.parametrize("match", ["", 'match = "parameters:2k"'])
@pytest.mark.parametrize("name", PLANNING)
def test_a_model_that_raises_in_planning_is_a_note_and_a_failed_cell(name: str, match: str) -> None:
    """A ``LazyLinear``, or any error with ``match``, was a traceback that ended the run of all architectures."""
    old, new, reason = PLANNING[name]
    write(f"{name}.py", MIXER.format(body="return self.inner(x)").replace(old, new))
    text = SUITE.replace('["lstm:width=8,depth=1"]', f'["{name}", "lstm:depth=1"]')
    write("suite.toml", text.replace("seeds = 1", f'seeds = 1\nplugins = ["{name}.py"]\n{match}'))
    run = ["run", "suite.toml", "--workers", "1", "--output", "run"]
    preview = call(*run, "--dry-run")
    assert preview.exit_code == 1, preview.output
    assert "raises" in preview.output
    result = call(*run)
    assert result.exit_code == 1, result.output
    assert reason in result.output
    records = Path("run").glob("cells/*/*.json*")
    assert sorted(path.name for path in records) == ["evaluations.jsonl", "failure.json", "training.json"]
    notes = json.loads(Path("run/run.json").read_text())["notes"]
    assert any(note.startswith(f"{name} on parity raises ") for note in notes), notes


TASK = """
from tasks.base import Task

class Mine(Task):
    '''A plug-in.'''

    symbols = ("a", "b")

    def __init__(self) -> None:
        {init}

    def sample(self, length, stream):
        return stream.integers(2, length)

    def solve(self, source):
        {solve}
"""
TASK_FAULTS = {
    "a constructor": {"init": "1 / 0", "solve": "return source[:, :1]"},
    "an answer": {"init": "pass", "solve": "raise RuntimeError('division by zero')"},
    "a long answer": {"init": "pass", "solve": "return source[:, :1] if source.shape[1] < 4 else 1 / 0"},
}


@pytest.mark.parametrize("where", TASK_FAULTS)
def test_a_task_that_raises_is_a_note_and_failed_cells(where: str) -> None:
    plugin = write("mine.py", TASK.format(**TASK_FAULTS[where]))
    run = ["run", "--plugin", plugin, *LSTM, "-t", "mine", *PARITY, *SMALL, "--steps", "9", "--output", "run"]
    preview = call(*run, "--dry-run")
    assert preview.exit_code == 1, preview.output
    assert "raises" in preview.output
    result = call(*run)
    assert result.exit_code == 1, result.output
    assert "division by zero" in result.output
    records = Path("run").glob("cells/*/*.json*")
    assert sorted(path.name for path in records) == ["evaluations.jsonl", "failure.json", "training.json"]
    assert any("mine raises" in note for note in json.loads(Path("run/run.json").read_text())["notes"])


def test_a_run_records_distinct_questions_and_those_seen_in_training() -> None:
    options = [*SMALL, "--samples", "100", "--test-lengths", "5,20", "--steps", "200"]
    assert call("run", *LSTM, *PARITY, *options, "--output", "run").exit_code == 0
    records = json_lines(next(Path("run").glob("cells/*/evaluations.jsonl")))
    assert {e["length"]: (e["rows"], e["distinct"]) for e in records} == {
        length: (100, min(2**length, 100)) for length in (1, 2, 3, 4, 5, 20)
    }
    assert all(e["tokens"] == e["distinct"] for e in records)
    training = json.loads(next(Path("run").glob("cells/*/training.json")).read_text())
    assert training["seen"] == {"1": 1.0, "2": 1.0, "3": 1.0, "4": 1.0}


def test_failed_cells_are_retried_on_request_and_stale_cells_of_a_plugin_always() -> None:
    plugin = write("moody.py", MIXER.format(body="raise RuntimeError('not today')"))
    run = ["run", "--plugin", plugin, "-a", "moody:width=8", *PARITY, *SMALL, "--output", "run"]
    assert "1 to train" in call(*run).output
    again = call(*run)
    assert again.exit_code == 1
    assert "1 failed" in again.output
    assert "1 to train" in call(*run, "--retry-failed").output
    write("moody.py", MIXER.format(body="return self.inner(x)"))
    forget_code()
    assert "cells trained with code that has changed since: 1" in user_error(*run, "--stale", "fail")
    fixed = call(*run)
    assert fixed.exit_code == 0, fixed.output
    assert "1 to train; 1 trained with code that has changed since" in fixed.output


def forget_code() -> None:
    """Clear what this process has cached of plug-ins, so that it reads them again like a new process."""
    forget(Path("moody.py").resolve())
    for function in (normal_code.syntax_of, normal_code.text_of, fingerprint._imported_names, catalog._unpickled):
        function.cache_clear()


def lengthwise(*arguments: object) -> list[str]:
    return [sys.executable, "-c", "from harness.cli import main; main()", *map(str, arguments)]


def scores(folder: Path) -> dict[str, list[tuple]]:
    """Return the loss curve and the scores of each cell, without times."""
    values: dict[str, list[tuple]] = {}
    for path in sorted(folder.glob("cells/*/evaluations.jsonl")):
        records = json_lines(path)
        curve = json.loads(path.with_name("training.json").read_text())["curve"]
        values[path.parent.name] = [(e["length"], e["exact"], e["right"], e["loss"], e["set_hash"]) for e in records]
        values[path.parent.name] += [tuple(point.items()) for point in curve]
    return values


def test_a_killed_run_resumes_and_two_workers_give_the_scores_of_one() -> None:
    """After SIGKILL in the middle, the next run trains only the missing cells."""
    run = ["run", *LSTM, *PARITY, "-t", "majority", *SMALL, "--seeds", "3", "--steps", "150"]
    process = subprocess.Popen(lengthwise(*run, "--output", "killed"), stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while "[2/" not in process.stderr.readline():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    finished = {path: path.stat().st_mtime_ns for path in Path("killed").glob("cells/*/training.json")}
    assert 2 <= len(finished) < 6
    result = call(*run, "--output", "killed", "--workers", "2")
    assert result.exit_code == 0, result.output
    assert f"6 cells, {len(finished)} done, {6 - len(finished)} to train" in result.output
    assert {path: path.stat().st_mtime_ns for path in finished} == finished
    assert call(*run, "--output", "whole").exit_code == 0
    assert scores(Path("killed")) == scores(Path("whole"))
    assert len(scores(Path("whole"))) == 6
