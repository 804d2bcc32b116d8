"""The launcher: it works from any script or thread, survives the death of a worker, and never restarts for ever."""

import io
import math
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
from command_line import MIXER
from rich.console import Console
from test_resume import plan

from harness.analysis.load import frames
from harness.errors import UserError
from harness.execution import pool, worker_process
from harness.execution.gpu_slots import Slot
from harness.execution.plan import Plan
from harness.execution.processes import clean_start
from harness.execution.run import Outcome, execute
from harness.execution.run_options import RunOptions
from harness.execution.run_status import run_status
from harness.execution.worker_process import WorkerProcess
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder

SCRIPT = """
from pathlib import Path
from harness.config.suite import make
from harness.execution.make_plan import make_plan
from harness.execution.run import execute
from harness.execution.run_options import RunOptions
from harness.registry.catalog import Catalog

suite = {"name": "small", "architectures": ["lstm:width=8,depth=1"], "tasks": ["parity"], "seeds": 3, "samples": 8}
suite |= {"test_lengths": "6", "recipe": {"steps": 3, "batch_size": 4, "train_lengths": "1:4", "warmup": 0}}
outcome = execute(make_plan(make(suite, "test"), Catalog()), Path("run"), RunOptions("cpu", 2))
print("failed:", outcome.failed)
"""
CALLERS = {
    "a script without a main guard": (["script.py"], ""),
    "standard input": (["-"], SCRIPT),
}


@pytest.mark.parametrize("caller", CALLERS)
def test_two_workers_can_be_used_from(caller: str, tmp_path: Path) -> None:
    """Observed: 248 errors in 20 seconds from standard input, and no end."""
    (tmp_path / "script.py").write_text(SCRIPT)
    arguments, text = CALLERS[caller]
    command = [sys.executable, *arguments]
    process = subprocess.run(command, input=text, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert process.returncode == 0, process.stderr
    assert process.stdout.endswith("failed: 0\n")
    assert "Error" not in process.stderr
    assert len(list(tmp_path.glob("run/cells/*/training.json"))) == 3


def run(planned: Plan, folder: Path, console: Console | None = None) -> Outcome:
    return execute(planned, folder, RunOptions("cpu", 2), console or Console(file=io.StringIO()))


def plan_with(folder: Path, body: str, **values: Any) -> Plan:
    """Return a plan of a plug-in whose ``forward`` has this body, and of an LSTM."""
    file = folder / "mine.py"
    file.write_text("import os, signal\n" + MIXER.format(body=body))
    architectures = ["mine:width=8,depth=1", "lstm:width=8,depth=1"]
    return plan((file,), architectures=architectures, **({"seeds": 2} | values))


SEGMENTATION_FAULT = "os.kill(os.getpid(), signal.SIGSEGV)"


def test_a_cell_whose_worker_dies_is_failed_and_the_others_finish(tmp_path: Path) -> None:
    planned, folder = plan_with(tmp_path, SEGMENTATION_FAULT), RunFolder(tmp_path / "run")
    assert run(planned, folder.path).failed == 2
    for cell in planned.cells:
        records = folder.cell(cell.id)
        assert (records.failure is not None) == (cell.architecture.name == "mine")
        assert (records.training is not None) == (cell.architecture.name == "lstm")
        if records.failure:
            assert "the worker process died" in records.failure.reason
            assert "signal 11" in records.failure.reason
    assert len(run(planned, folder.path).before.failed) == 2


FORK_SERVER_KILLED = """
        server = open(f"/proc/{{os.getppid()}}/cmdline", "rb").read()
        if b"forkserver" in server and not os.path.exists({mark!r}):
            open({mark!r}, "w").close()
            os.kill(os.getppid(), signal.SIGKILL)
        return self.inner(x)
"""


@pytest.mark.skipif(not Path("/proc/self/cmdline").exists(), reason="needs /proc")
def test_a_killed_fork_server_is_no_failure_of_a_model(tmp_path: Path) -> None:
    """Found by random kills: all workers then seem to have ended with exit code 255, although they still run."""
    body = FORK_SERVER_KILLED.format(mark=str(tmp_path / "mark")).strip()
    planned, folder, output = plan_with(tmp_path, body), RunFolder(tmp_path / "run"), io.StringIO()
    assert run(planned, folder.path, Console(file=output, width=200)).failed == 0, output.getvalue()
    assert (tmp_path / "mark").exists()
    assert "it is tried again" in output.getvalue()
    assert all(folder.cell(cell.id).training for cell in planned.cells)


def test_a_worker_that_dies_in_an_evaluation_does_not_destroy_its_training(tmp_path: Path) -> None:
    """The training record and the weights of such a cell used to be removed."""
    body = "return self.inner(x) if x.shape[1] < 30 else os._exit(1)"
    planned, folder = plan_with(tmp_path, body, test_lengths="9,40"), RunFolder(tmp_path / "run")
    output = io.StringIO()
    assert run(planned, folder.path, Console(file=output, width=200)).failed == 2
    assert output.getvalue().count("FAILED") == 2
    for cell in planned.cells:
        assert folder.cell(cell.id).training is not None
        assert folder.weights(cell.id, 6)
        expected = {1, 2, 3, 4, 9} | ({40} if cell.architecture.name == "lstm" else set())
        assert {record.length for record in folder.cell(cell.id).evaluations} == expected
    again = run(planned, folder.path)
    assert (len(again.before.done), again.failed) == (4, 2)
    assert all(folder.cell(cell.id).training for cell in planned.cells)


def test_a_job_that_others_may_have_killed_gets_a_second_attempt_alone(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    body = f"return self.inner(x) if os.path.exists({str(mark)!r}) else (open({str(mark)!r}, 'w'), os._exit(1))"
    planned = plan_with(tmp_path, body, recipe={"steps": 300, "train_lengths": "1:4"})
    assert run(planned, tmp_path / "run").failed == 0
    assert mark.exists()


MISBEHAVIOUR = {
    "exits": ("import sys; sys.exit(3)", "model", "it calls sys.exit(3)"),
    "crashes": (SEGMENTATION_FAULT, "model", "the worker process died (signal 11)"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "machine", "(signal 9) in 3 attempts"),
    "hangs": ("import time; time.sleep(99)", "model", "reported nothing for 3 s (--timeout)"),
}


@pytest.mark.parametrize("name", MISBEHAVIOUR)
def test_what_the_only_worker_runs_stays_in_its_cell(name: str, tmp_path: Path) -> None:
    body, cause, reason = MISBEHAVIOUR[name]
    planned, folder = plan_with(tmp_path, body, seeds=1), RunFolder(tmp_path / "run")
    options = RunOptions("cpu", 1, timeout=3.0 if name == "hangs" else None)
    quiet = Console(file=io.StringIO())
    assert execute(planned, folder.path, options, quiet).failed == 1
    failure = folder.cell(planned.cells[0].id).failure
    assert failure is not None
    assert (failure.cause, reason in failure.reason) == (cause, True), failure.reason
    assert folder.cell(planned.cells[1].id).training is not None
    again = run_status(planned, folder)
    assert ([len(again.failed), len(again.to_train)]) == ([0, 1] if cause == "machine" else [1, 0])
    (status,) = set(frames([folder.path], Catalog())[0].status) - {"done"}
    assert status == ("missing" if cause == "machine" else "failed")


def test_a_plugin_does_not_change_the_number_format_of_the_next_cell(tmp_path: Path) -> None:
    body = "import torch; torch.set_default_dtype(torch.float64); return self.inner(x)"
    execute(plan_with(tmp_path, body), tmp_path / "both", RunOptions("cpu", 1), Console(file=io.StringIO()))
    alone = plan()
    execute(alone, tmp_path / "alone", RunOptions("cpu", 1), Console(file=io.StringIO()))
    for cell in alone.cells[:2]:
        curves = [RunFolder(tmp_path / name).cell(cell.id).training.curve for name in ("both", "alone")]  # type: ignore[union-attr]
        assert curves[0] == curves[1]


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[WorkerProcess]:
    """Return a list that receives each worker process that is started."""
    workers: list[WorkerProcess] = []
    original = WorkerProcess.start

    def start(slot: Slot | None) -> WorkerProcess:
        workers.append(original(slot))
        return workers[-1]

    monkeypatch.setattr(WorkerProcess, "start", start)
    return workers


def test_workers_killed_before_their_first_job_are_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original, starts = WorkerProcess.start, []

    def start(slot: Slot | None) -> WorkerProcess:
        starts.append(original(slot))
        if len(starts) <= 2:
            starts[-1].process.kill()
        return starts[-1]

    monkeypatch.setattr(WorkerProcess, "start", start)
    assert run(plan(), tmp_path).failed == 0
    assert len(starts) == 4
    assert len(list(tmp_path.glob("cells/*/training.json"))) == 3


def test_workers_that_never_start_are_one_error_and_finished_cells_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, started: list[WorkerProcess]
) -> None:
    assert run(plan(seeds=1), tmp_path).failed == 0
    before = {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*")}
    monkeypatch.setattr(worker_process, "serve", math.hypot)  # raises a TypeError in the process
    with pytest.raises(UserError) as caught:
        run(plan(), tmp_path)
    assert pool.FAILED_STARTS <= len(started) <= pool.FAILED_STARTS + 1  # two are started at a time
    message = str(caught.value)
    assert "worker processes ended before their first job (the last one: exit code 1)" in message
    assert "workers=1" in message
    assert {path: path.stat().st_mtime_ns for path in tmp_path.glob("cells/*/*")} == before
    assert execute(plan(), tmp_path, RunOptions("cpu", 1), Console(file=io.StringIO())).failed == 0


KILLED_LAUNCHER = """
import os, signal
from harness.execution.worker_process import WorkerProcess

print(WorkerProcess.start(None).process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_worker_ends_with_its_launcher_also_while_it_starts() -> None:
    """A launcher that was killed in the first seconds used to leave its workers behind."""
    launcher = subprocess.run([sys.executable, "-c", KILLED_LAUNCHER], capture_output=True, text=True, timeout=60)
    worker = Path("/proc") / launcher.stdout.strip()
    until = time.monotonic() + 10
    while worker.exists() and time.monotonic() < until:
        time.sleep(0.05)
    assert not worker.exists()


def test_a_worker_is_asked_only_once_to_end_after_a_snapshot() -> None:
    """The second signal used to end it at once, mostly before the snapshot."""
    process = Mock()
    process.is_alive.return_value = False
    worker = WorkerProcess(process, Mock())
    worker.interrupt()
    worker.stop()
    process.terminate.assert_called_once_with()


def test_an_interruption_ends_all_workers(tmp_path: Path, started: list[WorkerProcess]) -> None:
    class Interrupting(Console):
        def print(self, *arguments: Any, **options: Any) -> None:
            if started:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(plan(), tmp_path, Interrupting(file=io.StringIO()))
    assert len(started) == 2
    assert not any(worker.process.is_alive() for worker in started)


def test_a_user_error_in_a_worker_ends_the_run_with_that_error(tmp_path: Path) -> None:
    planned = plan()
    run(planned, tmp_path)
    weights = next(tmp_path.glob("cells/*/weights-6.safetensors"))
    weights.write_bytes(b"damaged")
    with pytest.raises(UserError, match="damaged record"):
        run(plan(test_lengths="6,9,12"), tmp_path)


def test_the_main_module_is_restored_after_simultaneous_starts() -> None:
    main, inside = sys.modules["__main__"], []

    def start() -> None:
        for _ in range(200):
            with clean_start():
                inside.append(sys.modules["__main__"] is main)

    threads = [threading.Thread(target=start) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sys.modules["__main__"] is main
    assert not any(inside)


def test_a_job_waits_for_another_machine_only_while_one_is_left_on_which_it_has_not_died() -> None:
    cell = Mock(id="bad")
    first, second = (Mock(spec=WorkerProcess, host=host, is_stopping=False) for host in "AB")
    workers = pool.Pool([(0, Mock(cells=[cell]))], Mock(), Mock(), {cell.id: ["A"]}, None)
    workers.workers = [first, second]
    assert workers._job_for(first) is None
    workers.deaths[cell.id].append("B")
    assert workers._job_for(first) is not None
