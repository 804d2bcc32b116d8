"""The sweep into which faults are injected: 40 toy cells, run by a driver process, and what must hold of its folder."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console

from harness.analysis.load import frames
from harness.config.suite import make
from harness.execution.interruption import INTERRUPTION
from harness.execution.make_plan import make_plan
from harness.execution.plan import Plan
from harness.execution.run import execute
from harness.execution.run_options import LauncherName, RunOptions
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder
from harness.storage.verify import problems

MARK = "LENGTHWISE_FAULTS"
"""Variable in the environment of all processes of a run, by which they are found."""
TIMES = ["seconds"]
"""Columns of the table of scores that differ between equal runs."""
ROOT = Path(__file__).parents[2]


def plan(cells: int, plugin: Path | None = None) -> Plan:
    """Return the plan of a sweep: short trainings, four for each seed, or long ones of a plug-in."""
    suite = {
        "name": "faults",
        "architectures": ["lstm:width=8,depth=1", "rnn:width=8,depth=1"],
        "tasks": ["parity", "majority"],
        "seeds": cells // 4,
        "samples": 16,
        "test_lengths": "6,9",
        "recipe": {"steps": 40, "batch_size": 4, "train_lengths": "1:4", "warmup": 0},
    }
    if plugin:
        suite |= {"architectures": [f"{plugin.stem}:width=8,depth=1"], "tasks": ["parity"], "seeds": cells}
        suite["recipe"] |= {"steps": 600}  # type: ignore[operator]
    return make_plan(make(suite, "faults"), Catalog((plugin,) if plugin else ()))


def drive(
    folder: Path,
    cells: int,
    workers: int = 2,
    launcher: LauncherName = "local",
    address: str | None = None,
    plugin: Path | None = None,
) -> int:
    """Run what is missing of the sweep in this process; return how many cells failed."""
    options = RunOptions("cpu", workers, launcher=launcher, address=address)
    with INTERRUPTION.handled():
        return execute(plan(cells, plugin), folder, options, Console(stderr=True, width=200)).failed


def start(folder: Path, cells: int, *arguments: object, **environment: str) -> subprocess.Popen[bytes]:
    """Start :func:`drive` in a process of its own, all of whose processes are marked with the folder's path.

    Its messages are appended to a file next to the folder.
    """
    paths = [environment.pop("PYTHONPATH", ""), str(ROOT)]
    marked = os.environ | {MARK: str(folder), "PYTHONPATH": os.pathsep.join(filter(None, paths))} | environment
    command = [sys.executable, "-m", "tests.faults.sweep", str(folder), str(cells), *map(str, arguments)]
    with open(log_of(folder), "ab") as log:
        return subprocess.Popen(command, env=marked, stderr=log)


def log_of(folder: Path) -> Path:
    """Return the file with the messages of the drivers of a folder."""
    return folder.with_suffix(".log")


def processes(mark: Path) -> dict[int, str]:
    """Return the command lines of the processes of a run by their ids.

    Workers on a cluster have the mark of the cluster, which is the folder above; their relays are their parents.
    """
    found = _marked(mark) | {pid: line for pid, line in _marked(mark.parent).items() if "multiprocessing.spawn" in line}
    parents = {parent: _read(parent, "cmdline") for parent in map(_parent, found)}
    relays = {pid: line for pid, line in parents.items() if line.startswith("ray::")}
    return {pid: line for pid, line in (found | relays).items() if "resource_tracker" not in line}


def _marked(mark: Path) -> dict[int, str]:
    pids = [int(path.name) for path in Path("/proc").glob("[0-9]*")]
    marked = [pid for pid in pids if f" {MARK}={mark} " in f" {_read(pid, 'environ')} "]
    return {pid: line for pid in marked if (line := _read(pid, "cmdline"))}


def _parent(pid: int) -> int:
    return int((_read(pid, "stat").rpartition(") ")[2].split() or ["", "0"])[1])


def _read(pid: int, file: str) -> str:
    """Return a file of a process in ``/proc``, empty if the process has ended."""
    try:
        return Path(f"/proc/{pid}/{file}").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def finished(folder: Path) -> dict[str, int]:
    """Return when the training record of each finished cell was written."""
    return {path.parent.name: path.stat().st_mtime_ns for path in folder.glob("cells/*/training.json")}


def damaged(folder: Path) -> int:
    """Return how many files of a folder are damaged."""
    return len(list(problems(RunFolder(folder))))


def score_table(folder: Path) -> bytes:
    """Return the table of all scores as CSV, without times."""
    _, scores, _ = frames([folder], Catalog())
    return scores.drop(columns=[*TIMES, "run"], errors="ignore").to_csv(index=False).encode()


def wait_until(condition: Callable[[], object], seconds: float) -> bool:
    """Wait until a function returns a true value; return whether it did within some seconds."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            return False
        time.sleep(0.05)
    return True


def kill(pid: int) -> bool:
    """Kill a process as ``kill -9`` does; return whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True


if __name__ == "__main__":
    arguments = zip((Path, int, int, str, str, Path), sys.argv[1:], strict=False)
    sys.exit(drive(*(kind(text) for kind, text in arguments)))  # type: ignore[operator, arg-type]
