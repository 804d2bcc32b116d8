"""Verification of run folders: what is damaged or impossible is named and can be moved away, and the rest is kept."""

import json
import shutil
from pathlib import Path

import pytest
from command_line import call
from test_resume import plan, run

from harness.analysis.load import frames
from harness.config.cell import id_of
from harness.errors import UserError
from harness.registry.catalog import Catalog
from harness.storage.checksum import without_checksum
from harness.storage.folder import RunFolder
from harness.storage.verify import problems, quarantine

FILES = ("training.json", "evaluations.jsonl")


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("finished")
    run(plan(seeds=2), folder)
    return folder


@pytest.fixture
def folder(finished: Path, tmp_path: Path) -> RunFolder:
    return RunFolder(shutil.copytree(finished, tmp_path / "run"))


def test_sound_folders_have_no_problems(folder: RunFolder) -> None:
    assert list(problems(folder)) == []
    for name in ("quick", "chomsky-small"):  # packed, the first without checksums
        assert list(problems(RunFolder(Path("results/reference") / name))) == []
    for cell in folder.cell_ids():
        assert id_of(folder.cell(cell).training.cell) == cell  # type: ignore[union-attr]


def test_summaries_say_what_the_records_say(folder: RunFolder) -> None:
    planned, packed = plan(seeds=2), RunFolder(folder.path.with_name("packed"))
    folder.pack(packed.path)
    for cell in planned.cells:
        summary, records = folder.summaries.of(cell), folder.cell(cell.id)
        assert summary is not None
        assert records.training is not None
        assert summary == packed.summaries.of(cell)
        assert (summary.fingerprints, summary.evaluated) == (records.training.fingerprints, records.evaluated)
        assert summary.validation == (records.training.validation_exact, records.training.validation_loss)
    first, second = (folder.cells / cell.id / "training.json" for cell in planned.cells)
    second.write_text(first.read_text())
    with pytest.raises(UserError, match=f"it describes cell {planned.cells[0].id}"):
        RunFolder(folder.path).summaries.of(planned.cells[1])


def test_each_kind_of_damage_is_named_and_moved_away(folder: RunFolder) -> None:
    first, second = folder.cell_ids()
    cells = folder.cells
    evaluations = cells / first / "evaluations.jsonl"
    lines = [json.loads(without_checksum(line)) | {"exact": 10**6} for line in evaluations.read_bytes().splitlines()]
    evaluations.write_text("".join(f"{json.dumps(line)}\n" for line in lines[:1]))
    next((cells / first).glob("weights-*")).write_bytes(b"damaged")
    (cells / second / "training.json").write_text((cells / first / "training.json").read_text())
    found = list(problems(folder))
    assert [(problem.cell, problem.file.partition("-")[0]) for problem in found] == [
        (first, "evaluations.jsonl"),
        (first, "weights"),
        (second, "training.json"),
    ]
    assert "1000000 of 2 questions are right" in found[0].text
    assert f"describes cell {first}, not {second}" in found[2].text
    moved = [[target.name.partition("-")[0] for target in quarantine(folder, problem)] for problem in found]
    assert moved == [["evaluations.jsonl"], ["weights", "training.json"], ["training.json"]]
    assert list(problems(RunFolder(folder.path))) == []
    assert run(plan(seeds=2), folder.path).failed == 0
    assert list(RunFolder(folder.path).cells.glob("*/weights-*"))


def _replace(path: Path, old: str, new: str) -> None:
    """Replace a text in each JSON object of a file, which has no checksums afterwards, as those of earlier versions."""
    lines = path.read_bytes().splitlines() if path.suffix == ".jsonl" else [path.read_bytes()]
    texts = [without_checksum(line).decode().replace(old, new) for line in lines]
    path.write_text("".join(f"{text}\n" for text in texts))


def test_what_was_changed_after_it_was_written_is_damaged(folder: RunFolder) -> None:
    cell = folder.cell_ids()[0]
    weights = next((folder.cells / cell).glob("weights-*"))
    for path, old in ((weights, weights.read_bytes()[-4:]), *((folder.cells / cell / name, b"0") for name in FILES)):
        original = path.read_bytes()
        before, _, after = original.rpartition(old)
        path.write_bytes(before + (b"1" if old == b"0" else b"\0\0\0\0") + after)
        found = [
            problem
            for problem in problems(RunFolder(folder.path))
            if "it was changed after it was written" in problem.text
        ]
        assert [(problem.cell, problem.file) for problem in found] == [(cell, path.name)]
        path.write_bytes(original)
    assert list(problems(RunFolder(folder.path))) == []


@pytest.mark.usefixtures("temporary_folder")
def test_reports_leave_out_impossible_and_foreign_records(folder: RunFolder) -> None:
    first, second = folder.cell_ids()
    evaluations = folder.cells / first / "evaluations.jsonl"
    _replace(evaluations, '"exact":', '"exact":9')
    training = folder.cells / second / "training.json"
    _replace(training, '"seed": ', '"seed": 1')
    cells, _, meta = frames([folder.path], Catalog())
    assert set(cells.status) == {"missing"}
    assert [text.partition(":")[0] for text in meta.damaged] == [
        f"Cell {first} is left out",
        f"Cell {second} is left out",
    ]
    assert "questions are right" in meta.damaged[0]
    assert f"not {second}" in meta.damaged[1]
    _replace(training, '"symbols"', '"\x1b[31m"')
    assert "\x1b" not in call("verify", folder.path).output


@pytest.mark.usefixtures("temporary_folder")
def test_the_command_names_problems_and_moves_only_if_asked(folder: RunFolder) -> None:
    assert call("verify", folder.path).stdout.endswith("2 cells, 0 problems.\n")
    path = folder.cells / folder.cell_ids()[0] / "training.json"
    path.write_text("{}")
    named = call("verify", folder.path)
    assert (named.exit_code, path.is_file()) == (1, True)
    moved = call("verify", folder.path, "--quarantine")
    assert (moved.exit_code, path.is_file()) == (1, False)
    assert "moved to" in moved.stdout
    assert run(plan(seeds=2), folder.path).failed == 0
    assert call("verify", folder.path).exit_code == 0
