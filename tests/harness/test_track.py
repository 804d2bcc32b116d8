"""Trackers get what the records have, may fail without harm to the run, and can be written again."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import LSTM, MIXER, PARITY, SMALL, call, json_lines, user_error, write

from harness.track.tracked_cell import TrackedCell
from harness.track.tracker import open_tracker

pytestmark = pytest.mark.usefixtures("temporary_folder")
RUN = ["run", *LSTM, *PARITY, *SMALL, "--output", "run"]


class Fake:
    """Keeps the cells that it gets by id; fails from a number of cells on."""

    def __init__(self, fails_from: int = 99) -> None:
        self.cells: dict[str, TrackedCell] = {}
        self.fails_from, self.calls, self.is_closed = fails_from, 0, False

    def write(self, cell: TrackedCell) -> None:
        self.calls += 1
        if self.calls >= self.fails_from:
            raise ConnectionError("no network")
        self.cells[cell.id] = cell

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    tracker = Fake()
    monkeypatch.setattr("harness.track.mirror.open_tracker", lambda name, folder: tracker)
    return tracker


def check_cell(cell: TrackedCell) -> None:
    """Compare a tracked cell with the files of its record."""
    folder = Path("run/cells") / cell.id
    record = json.loads((folder / "training.json").read_text())
    assert (cell.project, cell.group) == ("custom", "lstm:depth=1,width=8 / parity")
    assert cell.config["recipe.steps"] == record["cell"]["recipe"]["steps"] == 3
    assert cell.config["architecture.width"] == 8
    assert cell.config["version.torch"] == record["provenance"]["versions"]["torch"]
    losses = {point["step"]: point["loss"] for point in record["curve"] if point.get("loss") is not None}
    assert {step: values["loss"] for step, values in cell.curve.items() if "loss" in values} == losses
    exact = {e["length"]: e["exact"] / e["distinct"] for e in json_lines(folder / "evaluations.jsonl")}
    assert {length: values["exact"] for length, values in cell.scores[""].items()} == exact
    assert cell.summary["parameters"] == record["parameters"]


def test_a_run_writes_each_cell_once_and_track_writes_the_same_again(fake: Fake) -> None:
    plugin = write("fails.py", MIXER.format(body="raise RuntimeError('cannot go on')"))
    arguments = [*RUN, "-a", f"{plugin}:width=8", "--track", "wandb"]
    assert call(*arguments).exit_code == 1
    assert (fake.calls, fake.is_closed) == (2, True)
    failed = [cell for cell in fake.cells.values() if "failed" in cell.config]
    assert [cell.config["failed"] for cell in failed] == ["raised RuntimeError: cannot go on"]
    for cell in set(fake.cells) - {cell.id for cell in failed}:
        check_cell(fake.cells[cell])
    before = dict(fake.cells)
    assert "run: 2 cells written to wandb." in call("track", "run", "--to", "wandb").stderr
    assert fake.cells == before


def test_a_tracker_that_fails_costs_one_warning(fake: Fake) -> None:
    fake.fails_from = 2
    result = call(*RUN, "--seeds", "2", "--track", "trackio")
    assert result.exit_code == 0, result.output
    assert result.stderr.count("Tracker trackio raised ConnectionError: no network") == 1
    assert (fake.calls, len(fake.cells)) == (2, 1)
    fake.calls = 0
    assert user_error("track", "run", "--to", "trackio").startswith("tracker trackio raised ConnectionError")


def test_a_tracker_that_does_not_exist_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "harness.track.wandb", None)
    assert 'pip install "lengthwise[wandb]"' in user_error(*RUN, "--track", "wandb")
    assert "unknown tracker 'tensorbord'; did you mean tensorboard?" in user_error(*RUN, "--track", "tensorbord")
    assert "holds no run" in user_error("track", "nowhere", "--to", "tensorboard")
    assert not Path("run").exists()


CELL = TrackedCell(
    "0123456789abcdef",
    "mine",
    "lstm / parity",
    "lstm / parity lr=0.001 seed=0",
    {"architecture": "lstm", "recipe.steps": 4},
    curve={2: {"loss": 0.75, "validation_exact": 0.5}, 4: {"loss": 0.25}},
    scores={"": {5: {"exact": 1.0}, 8: {"exact": 0.5}}, "hinted": {8: {"exact": 0.125}}},
    summary={"parameters": 9.0},
)


def write_twice(name: str) -> None:
    pytest.importorskip(name)
    for _ in range(2):
        tracker = open_tracker(name, Path("run"))
        tracker.write(CELL)
        tracker.close()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_tensorboard_reads_what_was_written() -> None:
    write_twice("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    [folder] = Path("run/tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    scalars = {
        tag: [(e.step, e.value) for e in events.Scalars(tag)]
        for tag in ("training/loss", "exact by length/plain", "exact by length/hinted")
    }
    assert list(scalars.values()) == [[(2, 0.75), (4, 0.25)], [(5, 1.0), (8, 0.5)], [(8, 0.125)]]
    assert b"recipe.steps: 4" in events.Tensors("config/text_summary")[0].tensor_proto.string_val[0]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_trackio_reads_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("trackio")
    from trackio import sqlite_storage

    monkeypatch.setattr(sqlite_storage, "TRACKIO_DIR", Path("store").resolve())
    write_twice("trackio")
    store = sqlite_storage.SQLiteStorage
    [name] = store.get_runs("mine")
    rows = [{key: row[key] for key in row if key != "timestamp"} for row in store.get_logs("mine", name)]
    assert rows[:2] == [{"loss": 0.75, "validation_exact": 0.5, "step": 2}, {"loss": 0.25, "step": 4}]
    scores = {"exact/5": 1.0, "exact/8": 0.5, "exact/hinted/8": 0.125, "parameters": 9.0}
    assert rows[2:] == [{**scores, "step": 4}]
    assert store.get_run_config("mine", name)["recipe.steps"] == 4


def leveldb_records(data: bytes) -> Iterator[bytes]:
    """Yield the records of a small file in LevelDB's log format: a checksum of 4 bytes, 2 of length, 1 of type."""
    while len(data) > 7:
        end = 7 + int.from_bytes(data[4:6], "little")
        yield data[7:end]
        data = data[end:]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_wandb_stores_what_was_written(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    Path("run").mkdir()
    write_twice("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    [file] = Path("run/wandb").glob("offline-run-*/run-0123456789abcdef.wandb")
    history: list[dict[str, float]] = []
    summary: dict[str, float] = {}
    for data in leveldb_records(file.read_bytes()[7:]):
        record = Record.FromString(data)
        values: Any = {item.key or item.nested_key[0]: json.loads(item.value_json) for item in record.history.item}
        history += [{key: values[key] for key in values if key[0] != "_"}] if values else []
        summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
    assert history[:2] == [{"loss": 0.75, "validation_exact": 0.5}, {"loss": 0.25}]
    assert history[3] == {"length": 8, "by length/exact": 0.5, "by length/exact (hinted)": 0.125}
    assert summary["parameters"] == 9.0
