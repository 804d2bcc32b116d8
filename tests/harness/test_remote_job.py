"""Jobs as plain data: run elsewhere, with the user's code as source, they leave the records of a local run."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from command_line import MIXER
from test_resume import plan, scores

from harness.errors import UserError
from harness.execution.job import Event, Job, ignore
from harness.execution.plan import Plan
from harness.execution.remote_job import install, job_of, plain_job, user_code
from harness.execution.run_options import RunOptions
from harness.execution.run_status import make_jobs, run_status
from harness.execution.worker import run_job
from harness.storage.folder import RunFolder
from harness.storage.merge import NOT_COMPARED
from harness.storage.remote_folder import Write

PLUGIN = MIXER.format(body="return helper.same(self.inner(x))") + "\nfrom . import helper\n"
LOSS = "import torch\ndef mine(logits, target):\n    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), "
LOSS += "target.flatten(), ignore_index=-100)\n"
RECIPE: dict[str, Any] = {"steps": 6, "batch_size": 4, "train_lengths": "1:4", "warmup": 0, "loss": "my_loss:mine"}


@pytest.fixture
def planned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    """Return the plan of a plug-in that imports a helper, with a loss from the working folder."""
    (tmp_path / "mine.py").write_text(PLUGIN)
    (tmp_path / "helper.py").write_text("def same(x):\n    return x\n")
    (tmp_path / "my_loss.py").write_text(LOSS)
    monkeypatch.chdir(tmp_path)
    return plan((tmp_path / "mine.py",), architectures=["mine:width=8,depth=1"], seeds=1, recipe=RECIPE)


def jobs_of(planned: Plan, folder: Path) -> list[Job]:
    store = RunFolder(folder)
    store.cells.mkdir(parents=True, exist_ok=True)
    return make_jobs(planned, store, run_status(planned, store), RunOptions("cpu"))


def run_elsewhere(job: Job, place: Path, listen: Callable[[Event], None] = ignore) -> list[str]:
    """Run a job from its plain form in another folder, and repeat its writes; return their kinds."""
    plain, kinds = plain_job(job), []
    sendable = plain | {"contents": None}
    assert json.loads(json.dumps(sendable)) == sendable

    def send(message: Event | Write) -> None:
        if isinstance(message, Write):
            kinds.append(message.kind)
            message.repeat_in(job.folder)
        else:
            listen(message)

    code, before = user_code([job]), os.getcwd()
    try:
        remote = job_of(plain, install(code, place), send)
        assert all(str(place) in str(path) for path in remote.cells[0].task.catalog.plugins)
        assert [cell.id for cell in remote.cells] == [cell.id for cell in job.cells]
        run_job(remote, 0, send)
    finally:
        os.chdir(before)
    return kinds


def compared(folder: Path, cell: str) -> tuple[Any, ...]:
    record = RunFolder(folder).cell(cell).training
    assert record is not None
    values = {key: value for key, value in record.model_dump().items() if key not in NOT_COMPARED}
    weights = (folder / "cells" / cell / "weights-6.safetensors").read_bytes()
    return values, weights, scores(folder, cell)


def test_a_remote_job_leaves_the_records_and_weights_of_a_local_one(planned: Plan, tmp_path: Path) -> None:
    cell = planned.cells[0].id
    (local,), (remote,) = jobs_of(planned, tmp_path / "local"), jobs_of(planned, tmp_path / "remote")
    run_job(local, 0, ignore)
    kinds = run_elsewhere(remote, tmp_path / "node")
    assert kinds == ["finish", *["add"] * 6]
    assert compared(tmp_path / "remote", cell) == compared(tmp_path / "local", cell)

    # Evaluations that are missing are made from the weights that the driver sends.
    evaluations = tmp_path / "remote" / "cells" / cell / "evaluations.jsonl"
    evaluations.write_text("".join(evaluations.read_text().splitlines(keepends=True)[:4]))
    (rest,) = jobs_of(planned, tmp_path / "remote")
    assert run_elsewhere(rest, tmp_path / "other-node") == ["add", "add"]
    assert compared(tmp_path / "remote", cell) == compared(tmp_path / "local", cell)


class LostError(BaseException):
    """Raised in place of the loss of a node."""


def test_a_job_that_is_lost_with_its_node_resumes_from_the_snapshot_that_the_driver_has(
    planned: Plan, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def lose(event: Event) -> None:
        if event.kind == "progress" and event.progress > 0.4:
            raise LostError

    monkeypatch.setattr("harness.training.trainer.SNAPSHOT_SECONDS", 0.0)
    notes: list[str] = []
    (job,) = jobs_of(planned, tmp_path / "remote")
    with pytest.raises(LostError):
        run_elsewhere(job, tmp_path / "node", lose)
    assert len(list((tmp_path / "remote" / "snapshots").iterdir())) == 1
    kinds = run_elsewhere(job, tmp_path / "other-node", lambda event: notes.append(event.text))
    assert any("resumes from step" in note for note in notes)
    assert kinds.index("finish") < kinds.index("no snapshot")
    assert not (tmp_path / "remote" / "snapshots").exists()
    (local,) = jobs_of(planned, tmp_path / "local")
    run_job(local, 0, ignore)
    cell = planned.cells[0].id
    assert compared(tmp_path / "remote", cell) == compared(tmp_path / "local", cell)


def test_a_machine_with_other_code_refuses_a_job(planned: Plan, tmp_path: Path) -> None:
    (job,) = jobs_of(planned, tmp_path / "run")
    code = user_code([job])
    changed = {name: content.replace(b"return x", b"return 2 * x") for name, content in code["files"].items()}
    before = os.getcwd()
    try:
        catalog = install(code | {"files": changed}, tmp_path / "node")
        with pytest.raises(UserError, match=r"has other code than the driver for mine.*\(architecture\); install"):
            job_of(plain_job(replace(job)), catalog, ignore)
    finally:
        os.chdir(before)
