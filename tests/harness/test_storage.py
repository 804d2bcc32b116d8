"""Storage: records survive crashes, and errors name damaged files."""

import errno
import json
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from test_resume import plan

from harness.config.cell import SCHEMA
from harness.errors import UserError
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.storage.atomic import write_atomically
from harness.storage.cell_records import check_schema
from harness.storage.folder import RunFolder
from harness.storage.records import (
    EvaluationRecord,
    Evaluations,
    Failure,
    Provenance,
    RunRecord,
    SuiteRecord,
    TrainingRecord,
)

PROVENANCE = Provenance(created="2025-01-01T00:00:00Z", versions={}, git="", device="cpu")
WEIGHTS = {10: {"a": torch.arange(6.0).view(2, 3).T, "b": torch.ones(2)}}


def run(name: str = "mine", schema: int = SCHEMA) -> RunRecord:
    return RunRecord(schema_version=schema, suite=SuiteRecord(name=name), cells=[], provenance=PROVENANCE)


def training(steps: int = 10) -> TrainingRecord:
    return TrainingRecord(
        cell={}, fingerprints={}, symbols=["a"], steps_used=steps, checkpoints=[steps], curve=[], validation_exact=1.0,
        validation_loss=0.1, distinct=1.0, parameters=1, state_bytes={}, kernels={}, population=1,
        seconds={"train": 1.0}, tokens_per_second=1.0, provenance=PROVENANCE,
    )  # fmt: skip


def evaluation(length: int, exact: int = 0, rows: int = 8, variant: str = "") -> EvaluationRecord:
    return EvaluationRecord(variant=variant, task="parity", length=length, step=10, rows=rows, exact=exact)


def failure(reason: str = "diverged") -> Failure:
    return Failure(cell={}, reason=reason, provenance=PROVENANCE)


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    folder = RunFolder(tmp_path / "run")
    folder.open(run())
    return folder


def test_records_are_read_as_written(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    folder.fail("two", failure())
    assert folder.run() == run()
    assert folder.cell("one").training == training()
    assert folder.cell("two").failure == failure()
    assert folder.cell_ids() == ["one", "two"]
    assert all(torch.equal(folder.weights("one", 10)[name], value) for name, value in WEIGHTS[10].items())
    assert folder.cell("two").training is folder.cell("one").failure is folder.cell("three").training is None


def test_a_new_folder_is_empty(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "new")
    assert folder.run() is None
    assert folder.cell_ids() == []


def test_a_cell_without_a_record_is_not_trained(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    """A cell whose process is killed before its record is written counts as not trained, although it has weights."""
    folder.finish("one", training(5), {5: WEIGHTS[10]})

    def killed(path: Path, text: str | bytes) -> None:
        if isinstance(text, bytes):  # weights
            return write_atomically(path, text)
        path.with_name(f".{path.name}.123").write_text(text[: len(text) // 2])
        raise KeyboardInterrupt

    monkeypatch.setattr("harness.storage.folder.write_atomically", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.finish("one", training(), WEIGHTS)
    assert folder.cell("one").training is None
    assert folder.weights_path("one", 10).is_file()
    monkeypatch.undo()
    folder.finish("one", training(), WEIGHTS)
    assert folder.cell("one").training == training()


def test_an_incomplete_file_never_has_its_final_name(folder: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder.path / "file.json"
    write_atomically(path, "whole")

    def full(descriptor: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, "half")
    assert path.read_text() == "whole"


def test_finishing_again_replaces_everything(folder: RunFolder) -> None:
    folder.finish("one", training(5), {5: WEIGHTS[10]})
    folder.add("one", [evaluation(20)])
    folder.finish("one", training(), WEIGHTS)
    assert folder.cell("one").evaluations == []
    assert not folder.weights_path("one", 5).exists()
    folder.fail("one", failure())
    assert folder.cell("one").training is None
    assert not folder.weights_path("one", 10).exists()
    folder.finish("one", training(), WEIGHTS)
    assert folder.cell("one").failure is None


def test_evaluations_merge_by_key(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    folder.add("one", [evaluation(20, 1), evaluation(30, 2)])
    folder.add(
        "one", [evaluation(20, 7), evaluation(10, 3), evaluation(20, 9, rows=16), evaluation(20, 4, variant="v")]
    )
    exact = {(e.variant, e.length, e.rows): e.exact for e in folder.cell("one").evaluations}
    assert exact == {("", 10, 8): 3, ("", 20, 8): 7, ("", 20, 16): 9, ("", 30, 8): 2, ("v", 20, 8): 4}


def test_older_records_count_their_rows() -> None:
    text = '{"variant": "", "task": "count", "length": 80, "step": 9, "rows": 2000}'
    old = EvaluationRecord.model_validate_json(text)
    new = old.model_copy(update={"distinct": 21})
    assert (old.n, new.n) == (2000, 21)
    assert old.key == new.key
    assert TrainingRecord.model_validate(training().model_dump(exclude={"seen"})).seen == {}


def test_concurrent_additions_lose_nothing(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda length: RunFolder(folder.path).add("one", [evaluation(length)]), range(40)))
    assert sorted(record.length for record in folder.cell("one").evaluations) == list(range(40))


DAMAGE = {
    "cells/one/training.json": lambda folder: folder.cell("one").training,
    "cells/one/failure.json": lambda folder: folder.cell("one").failure,
    "cells/one/evaluations.json": lambda folder: folder.cell("one").evaluations,
    "cells/one/evaluations.jsonl": lambda folder: folder.cell("one").evaluations,
    "run.json": lambda folder: folder.run(),
    "cells/one/weights-10.safetensors": lambda folder: folder.weights("one", 10),
}


@pytest.mark.parametrize("text", [b"", b"{", b'{"surprise": 1}', b"\xff\xfe"])
@pytest.mark.parametrize("name", DAMAGE)
def test_errors_name_the_damaged_file(folder: RunFolder, name: str, text: bytes) -> None:
    folder.finish("one", training(), WEIGHTS)
    path = folder.path / name
    path.write_bytes(text + b"\n")  # an unfinished line of an appended file is no damage
    with pytest.raises(UserError, match="damaged record") as caught:
        DAMAGE[name](folder)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("point", [{}, {"step": None, "loss": 1.0}, {"step": 1.0}])
def test_a_point_of_a_curve_without_step_or_loss_is_damage(folder: RunFolder, point: dict[str, float]) -> None:
    folder.finish("one", training(), WEIGHTS)
    changed = training().model_dump() | {"curve": [point]}
    (folder.cells / "one" / "training.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match="training curve has no step or no loss"):
        _ = folder.cell("one").training


@pytest.mark.parametrize("key", ["name", "title", "description", "samples", "model", "known", "plugins"])
def test_a_suite_with_a_value_of_another_type_is_damage(folder: RunFolder, key: str) -> None:
    changed = run().model_dump()
    changed["suite"][key] = -1
    (folder.path / "run.json").write_text(json.dumps(changed))
    with pytest.raises(UserError, match=f"damaged record .*suite.*{key}"):
        folder.run()


def test_a_line_that_a_crash_left_unfinished_is_replaced(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    folder.add("one", [evaluation(10), evaluation(20)])
    path = folder.cells / "one" / "evaluations.jsonl"
    path.write_bytes(path.read_bytes()[:-9])
    assert [record.length for record in folder.cell("one").evaluations] == [10]
    folder.add("one", [evaluation(20), evaluation(30)])
    assert [record.length for record in folder.cell("one").evaluations] == [10, 20, 30]


def test_adding_an_evaluation_writes_one_line(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    path = folder.cells / "one" / "evaluations.jsonl"
    folder.add("one", [evaluation(10)])
    first = path.read_bytes()
    folder.add("one", [evaluation(20)])
    assert path.read_bytes().startswith(first)
    assert path.read_bytes().count(b"\n") == 2


def test_evaluations_of_older_folders_are_read(folder: RunFolder) -> None:
    folder.finish("one", training(), WEIGHTS)
    old = Evaluations(records=[evaluation(10), evaluation(20)])
    (folder.cells / "one" / "evaluations.json").write_text(old.model_dump_json())
    folder.add("one", [evaluation(30)])
    assert [record.length for record in folder.cell("one").evaluations] == [10, 20, 30]


def test_a_folder_of_another_suite_is_an_error(folder: RunFolder) -> None:
    with pytest.raises(UserError, match="holds records of suite 'mine', not 'other'"):
        folder.open(run("other"))
    assert folder.run() == run()


def test_another_record_format_is_an_error(folder: RunFolder) -> None:
    with pytest.raises(UserError, match=f"record format {SCHEMA + 1}, this is {SCHEMA}"):
        check_schema(run(schema=SCHEMA + 1), folder.path)


def test_a_folder_of_a_newer_version_is_not_called_damaged(folder: RunFolder) -> None:
    path = folder.path / "run.json"
    path.write_text(
        path.read_text().replace(f'"schema_version": {SCHEMA}', f'"new": 1, "schema_version": {SCHEMA + 1}')
    )
    with pytest.raises(UserError, match=rf"newer version.*record format {SCHEMA + 1}.*update Lengthwise"):
        folder.run()


def test_a_file_in_place_of_the_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="not writable"):
        RunFolder(tmp_path / "file").open(run())


class FullDisk:
    """Lets the machine refuse to flush files of some names for a number of times."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, suffix: str, times: int) -> None:
        self.suffix, self.left, self.fsync = suffix, times, os.fsync
        monkeypatch.setattr("os.fsync", self)
        monkeypatch.setattr("harness.storage.atomic.PAUSES", (0.0, 0.0))

    def __call__(self, descriptor: int) -> None:
        if self.left and self.suffix in os.readlink(f"/proc/self/fd/{descriptor}"):
            self.left -= 1
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        self.fsync(descriptor)


@pytest.mark.parametrize("suffix", ["weights", "training.json", "evaluations.jsonl"])
def test_a_full_disk_ends_the_run_and_is_no_failure_of_a_model(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = plan()
    FullDisk(monkeypatch, suffix, 2)
    assert execute(planned, tmp_path, RunOptions("cpu", 1)).failed == 0  # it was full for a while
    (tmp_path / "cells" / planned.cells[1].id / "training.json").unlink()
    FullDisk(monkeypatch, suffix, 10**9)
    with pytest.raises(UserError, match=rf"{suffix}.* cannot be written: No space left on device; finished cells"):
        execute(planned, tmp_path, RunOptions("cpu", 1))
    monkeypatch.undo()
    assert not list(tmp_path.glob("cells/*/failure.json"))
    assert not list(tmp_path.glob("cells/*/.*[0-9]"))
    again = execute(planned, tmp_path, RunOptions("cpu", 1))
    assert (again.failed, len(again.before.done) >= 2) == (0, True)
