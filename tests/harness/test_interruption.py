"""Signals, and the lock of a run folder: a snapshot is written, workers end, and no folder has two writers."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from command_line import call
from test_resume import plan, run

from harness.analysis.load import frames
from harness.config.cell import TUNING_SEED
from harness.errors import UserError
from harness.execution.interruption import INTERRUPTION, Interrupted
from harness.execution.job import Event
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.execution.run_status import make_jobs, run_status
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder
from harness.storage.lock import OWNER, STALE, locked

ENVIRONMENT = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2])}
LONG = {"recipe": {"steps": 20_000, "batch_size": 4, "train_lengths": "1:4", "warmup": 0}}


def test_the_first_signal_waits_for_a_snapshot_and_the_run_resumes_from_it(tmp_path: Path) -> None:
    planned = plan(**LONG | {"recipe": LONG["recipe"] | {"steps": 60}})

    def interrupt(event: Event) -> None:
        if event.text.startswith("loss"):
            INTERRUPTION.request(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught, INTERRUPTION.handled(signal.SIGUSR1):
        execute(planned, tmp_path, RunOptions("cpu", 1), listener=interrupt)
    assert caught.value.code == 143
    assert list((tmp_path / "snapshots").iterdir())
    assert not (tmp_path / OWNER).exists()
    assert run(planned, tmp_path).failed == 0
    whole = RunFolder(tmp_path / "whole")
    run(planned, whole.path)
    for cell in planned.cells:
        pair = [folder.cell(cell.id).training for folder in (RunFolder(tmp_path), whole)]
        assert pair[0].curve == pair[1].curve  # type: ignore[union-attr]


@pytest.mark.usefixtures("temporary_folder")
def test_a_budget_stops_a_run_and_the_report_names_what_remains() -> None:
    options = ["--set", "width=8", "--seeds", "2", "--workers", "1", "--samples", "8", "--train-lengths", "1:4"]
    command = ["run", "-a", "lstm", "-a", "gru", "-t", "parity", *options, "--test-lengths", "6", "--output", "run"]
    result = call(*command, "--steps", "900000", "--budget", "3s")
    assert result.exit_code == 0, result.output
    assert "The budget of 3s is spent: 4 models to train remain" in result.stderr
    cells, _, _ = frames([Path("run")], Catalog())
    assert [(row.architecture, row.seed, row.status) for row in cells.itertuples()] == [
        (name, seed, "missing") for name in ("lstm:width=8", "gru:width=8") for seed in (0, 1)
    ]


def test_with_a_budget_one_seed_of_each_pair_is_first(tmp_path: Path) -> None:
    planned = plan(architectures=["lstm:width=8", "gru:width=8"], seeds=2, learning_rates=[1e-3, 4e-3, 2e-3])
    status = run_status(planned, RunFolder(tmp_path))
    options = RunOptions("cpu", 1, budget=1.0)
    cells = [job.cells[0] for job in make_jobs(planned, RunFolder(tmp_path), status, options)]
    first = [(cell.architecture.name, cell.learning_rate, cell.seed) for cell in cells[:2]]
    assert first == [("lstm", 2e-3, TUNING_SEED), ("gru", 2e-3, TUNING_SEED)]
    assert len(cells) == len(planned.cells)


def test_without_a_training_and_at_the_second_signal_it_ends_at_once() -> None:
    with INTERRUPTION.handled(signal.SIGUSR1), pytest.raises(Interrupted):
        os.kill(os.getpid(), signal.SIGUSR1)
    assert INTERRUPTION.number is None


def test_sigterm_ends_a_run_with_its_workers_within_seconds(tmp_path: Path) -> None:
    options = ["--set", "width=8", "--steps", "900000", "--seeds", "2", "--workers", "2", "--output", "run"]
    command = [sys.executable, "-m", "harness", "run", "-a", "lstm", "-a", "gru", "-t", "parity", *options]
    process = subprocess.Popen(command, cwd=tmp_path, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    while not (tmp_path / "run" / OWNER).exists():
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(2.5)  # until both workers train
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=20)
    assert process.returncode == 143
    assert "finished cells and snapshots are kept" in errors
    assert not (tmp_path / "run" / OWNER).exists()


HOLD = "import sys; from pathlib import Path; from harness.storage.lock import locked"
HOLD += "\nwith locked(Path(sys.argv[1])): print('held', flush=True); sys.stdin.read()"


def test_a_folder_has_one_writer(tmp_path: Path) -> None:
    command, pipe = [sys.executable, "-c", HOLD, str(tmp_path)], subprocess.PIPE
    holder = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=ENVIRONMENT)
    assert holder.stdout is not None
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(UserError, match=rf"is being written by process {holder.pid} on .*choose another"):
        run(plan(), tmp_path)
    holder.kill()
    holder.communicate()
    with locked(tmp_path) as note:
        assert f"was not closed by process {holder.pid}" in note
    with locked(tmp_path) as note:
        assert note == ""


def test_an_owner_on_another_machine_counts_until_its_file_is_old(tmp_path: Path) -> None:
    owner = tmp_path / OWNER
    owner.write_text(json.dumps({"host": "elsewhere", "pid": 7, "since": "today"}))
    with pytest.raises(UserError, match="process 7 on elsewhere since today"), locked(tmp_path):
        pass
    old = time.time() - STALE - 1
    os.utime(owner, (old, old))
    with locked(tmp_path) as note:
        assert "process 7 on elsewhere" in note
    owner.write_text("damaged")
    os.utime(owner, (old, old))
    with locked(tmp_path) as note:
        assert "an unknown machine" in note
