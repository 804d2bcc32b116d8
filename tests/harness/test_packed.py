"""Packed runs: they are read like all others, nothing is trained again, and newer records replace packed ones."""

from pathlib import Path

import pytest
from command_line import call, user_error

from harness.storage.folder import RunFolder
from harness.storage.packed import FILE

pytestmark = pytest.mark.usefixtures("temporary_folder")

RUN = [
    *("run", "-a", "lstm:width=8,depth=1", "-t", "parity", "--steps", "3", "--samples", "8", "--seeds", "2"),
    *("--train-lengths", "1:4", "--test-lengths", "6", "--workers", "1", "--output", "run"),
]


@pytest.fixture
def run(temporary_folder: None) -> RunFolder:
    assert call(*RUN).exit_code == 0
    return RunFolder(Path("run"))


def records(folder: Path) -> list[object]:
    cells = [RunFolder(folder).cell(cell) for cell in RunFolder(folder).cell_ids()]
    return [(cell.training, cell.failure, cell.evaluations) for cell in cells]


def test_packed_records_are_the_records(run: RunFolder) -> None:
    before = records(run.path)
    assert len(before) == 2
    assert call("pack", "run", "--output", "packed").exit_code == 0
    assert records(Path("packed")) == before == records(run.path)
    assert {path.name for path in Path("packed").iterdir()} == {"run.json", FILE, "report.md"}


def test_the_same_records_give_the_same_bytes(run: RunFolder) -> None:
    for name in ("one", "two"):
        assert call("pack", "run", "--output", name).exit_code == 0
    assert Path("one", FILE).read_bytes() == Path("two", FILE).read_bytes()


def test_a_run_packed_in_place_can_be_continued(run: RunFolder) -> None:
    before = records(run.path)
    assert call("pack", "run").exit_code == 0
    assert not list(run.path.glob("cells/*/*.json"))
    assert "2 cells, 2 done" in call(*RUN).output
    assert call("evaluate", "run", "--test-lengths", "9", "--workers", "1").exit_code == 0
    after = RunFolder(run.path)
    assert [len(after.cell(cell).evaluations) for cell in after.cell_ids()] == [len(b[2]) + 1 for b in before]  # type: ignore[index]
    assert call("report", "run").exit_code == 0


def test_a_run_with_many_cells_packs_itself(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    before = records(run.path)
    monkeypatch.setattr("harness.execution.run.PACKED_FROM", 2)
    assert "The records of 2 cells are packed into run/records.jsonl.gz; weights stay." in call(*RUN).stderr
    assert records(run.path) == before
    assert list(run.path.glob("cells/*/*.json*")) == []
    assert "packed" not in call(*RUN).stderr
    assert call("evaluate", "run", "--test-lengths", "9", "--workers", "1").exit_code == 0


def test_a_damaged_record_keeps_a_run_from_packing(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    (run.cells / "other").mkdir()
    (run.cells / "other" / "training.json").write_text("{}")
    monkeypatch.setattr("harness.execution.run.PACKED_FROM", 2)
    result = call(*RUN)
    assert result.exit_code == 0
    assert "The records are not packed: damaged record" in result.stderr
    assert len(list(run.path.glob("cells/*/training.json"))) == 3


def test_packing_that_was_killed_loses_no_record(run: RunFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    assert call("pack", "run").exit_code == 0
    packed = RunFolder(run.path)
    training = packed.cell(packed.cell_ids()[0]).training
    assert training is not None
    packed.finish(packed.cell_ids()[0], training, {})  # trained again: its packed record does not count meanwhile
    unlink = Path.unlink

    def killed(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok)
        raise KeyboardInterrupt

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(KeyboardInterrupt):
        RunFolder(run.path).pack(run.path)
    assert RunFolder(run.path).cell(packed.cell_ids()[0]).training == training


def test_a_packed_copy_can_be_continued_and_packed_again(run: RunFolder) -> None:
    before = records(run.path)
    assert call("pack", "run", "--output", "packed").exit_code == 0
    assert call(*RUN, "--output", "packed", "--seeds", "3").exit_code == 0
    assert call("pack", "packed", "--output", "again").exit_code == 0
    after = records(Path("again"))
    assert len(after) == 3
    assert all(record in after for record in before)


def test_without_weights_nothing_can_be_evaluated(run: RunFolder) -> None:
    assert call("pack", "run", "--output", "packed").exit_code == 0
    assert "packed without weights" in user_error("evaluate", "packed", "--test-lengths", "9", "--workers", "1")


def test_a_packed_cell_that_is_cleared_has_no_records(run: RunFolder) -> None:
    assert call("pack", "run").exit_code == 0
    packed = RunFolder(run.path)
    first, second = packed.cell_ids()
    training = packed.cell(first).training
    assert training is not None
    packed._clear(first)
    again = RunFolder(run.path)
    assert again.cell(first).training is None
    assert again.cell(first).evaluations == []
    assert again.cell(second).training is not None
    again.finish(first, training, {})
    assert again.cell(first).training == training
    assert again.cell(first).evaluations == []


def test_errors_name_a_damaged_packed_file(run: RunFolder) -> None:
    assert call("pack", "run", "--output", "packed").exit_code == 0
    file = Path("packed", FILE)
    file.write_bytes(file.read_bytes()[:-20])
    assert "damaged record packed/records.jsonl.gz" in user_error("report", "packed")


def test_an_unknown_picture_is_an_error(run: RunFolder) -> None:
    assert "picture 'lengths'" in user_error("pack", "run", "--output", "packed", "--picture", "lengths")


def test_a_folder_without_a_run_is_an_error() -> None:
    Path("empty").mkdir()
    assert "holds no run" in user_error("pack", "empty")
