"""Shards and merging: the parts of a plan are the plan, and merged folders are the folder of one run."""

import doctest
import shutil
from pathlib import Path
from typing import Any

import pytest
from command_line import call
from test_resume import plan, run, scores

import harness.cli.announce
from harness.errors import UserError
from harness.execution.plan import Plan
from harness.execution.shards import Shard, cost, part, split
from harness.storage.checksum import without_checksum
from harness.storage.folder import RunFolder
from harness.storage.merge import merge
from harness.storage.records import Failure

SUITE: dict[str, Any] = {
    "architectures": ["lstm:width=8,depth=1"],
    "tasks": ["parity", {"task": "even_pairs", "steps": 9}],
    "seeds": 1,
    "samples": 8,
    "test_lengths": "6",
    "learning_rates": [1e-3, 1e-2],
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Plan, Path]:
    planned, folder = plan(**SUITE), tmp_path_factory.mktemp("whole")
    run(planned, folder)
    return planned, folder


@pytest.mark.parametrize("count", [1, 2])
def test_the_parts_are_the_plan_and_of_similar_cost(whole: tuple[Plan, Path], count: int) -> None:
    planned, _ = whole
    parts = split(planned, count)
    pairs = [pair for each in parts for pair in each.pairs]
    assert sorted(map(str, pairs)) == sorted(map(str, planned.pairs))
    loads = [sum(cost(pair, planned) for pair in each.pairs) for each in parts]
    assert max(loads) - min(loads) <= max(cost(pair, planned) for pair in planned.pairs)
    assert [each.cells for each in split(plan(**SUITE), count)] == [each.cells for each in parts]


@pytest.mark.parametrize("text", ["0/2", "3/2", "2", "a/b", "1/0", "-1/2"])
def test_bad_shards_are_one_line(text: str) -> None:
    with pytest.raises(UserError, match="write I/N with I from 1 to N"):
        Shard.parse(text)


def test_too_many_shards_name_the_most(whole: tuple[Plan, Path]) -> None:
    with pytest.raises(UserError, match="must be at most 2"):
        split(whole[0], 3)


def test_merged_shards_are_the_run_of_one_machine(whole: tuple[Plan, Path], tmp_path: Path) -> None:
    planned, folder = whole
    folders = [tmp_path / "1", tmp_path / "2"]
    for index, each in enumerate(folders, 1):
        run(part(planned, Shard(index, 2)), each)
    output = tmp_path / "all"
    cells = RunFolder(folder).cell_ids()
    assert merge(folders, output) == (len(cells), 0)
    assert merge([*folders, folder], output) == (0, len(cells))
    assert RunFolder(output).cell_ids() == cells
    for cell in cells:
        assert scores(output, cell) == scores(folder, cell)
        assert RunFolder(output).weights(cell, RunFolder(folder).cell(cell).training.checkpoints[-1])  # type: ignore
    assert len(run(planned, output).before.to_train) == 0


def test_what_contradicts_is_refused_and_nothing_is_written(whole: tuple[Plan, Path], tmp_path: Path) -> None:
    _, folder = whole
    other = shutil.copytree(folder, tmp_path / "other")
    cell = RunFolder(other).cell_ids()[0]
    path = other / "cells" / cell / "training.json"
    path.write_bytes(without_checksum(path.read_bytes()).replace(b'"steps_used": ', b'"steps_used": 1'))
    with pytest.raises(UserError, match=rf"cell {cell}: .*different trainings"):
        merge([folder, other], tmp_path / "all")
    run(plan(**SUITE | {"samples": 16}), tmp_path / "samples")
    failed = shutil.copytree(folder, tmp_path / "failed")
    training = RunFolder(folder).cell(cell).training
    assert training is not None
    RunFolder(failed).fail(cell, Failure(cell=training.cell, reason="", provenance=training.provenance))
    with pytest.raises(UserError, match=rf"cell {cell}: .*different trainings"):
        merge([failed, folder, other], tmp_path / "all")
    with pytest.raises(UserError, match="belongs to another suite: samples differ"):
        merge([folder, tmp_path / "samples"], tmp_path / "all")
    assert not (tmp_path / "all").exists()


@pytest.mark.usefixtures("temporary_folder")
def test_the_command_line_trains_a_shard_into_a_folder_of_its_own() -> None:
    options = ["-a", "lstm", "-a", "gru", "-t", "parity", "--set", "width=8", "--steps", "3", "--seeds", "1"]
    small = ["--samples", "8", "--train-lengths", "1:4", "--test-lengths", "8", "--workers", "1"]
    printed = call("run", *options, *small, "--dry-run", "--shards", "2").stdout
    assert "sbatch --array=1-2" in printed
    assert call("run", *options, *small, "--shard", "2/2").exit_code == 0
    (folder,) = Path("results").iterdir()
    assert folder.name.endswith("-2-of-2")
    assert call("run", *options, *small, "--shard", "1/2", "--output", "mine").exit_code == 0
    assert Path("mine-1-of-2/run.json").is_file()
    assert "1 cell added" in call("merge", folder, "--output", "all").stdout


def test_examples_in_docstrings() -> None:
    assert doctest.testmod(harness.cli.announce).failed == 0
