"""A worker process: it asks the launcher for one job at a time, and ends when the launcher ends.

The launcher sees it as a process and a connection, which may be those of a process on another machine.
"""

import gc
import os
import pickle
import shutil
import signal
import threading
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

import torch

from harness.encoding import replace_unencodable
from harness.execution.gpu_slots import Slot, visible
from harness.execution.interruption import INTERRUPTION, Interrupted
from harness.execution.job import Job
from harness.execution.processes import clean_start, start_context
from harness.execution.worker import run_job

NumberedJob = tuple[int, Job]
"""A job and its position in the list that was launched."""

READY = "ready"
"""The message by which a worker asks for a job. Its other messages are events, and errors that end the run."""

STOP_SECONDS = 5.0
START_PAUSES = (0.1, 0.5, 2.0)
"""Seconds before a start that failed is tried again."""
MACHINE_SIGNALS = {getattr(signal, name) for name in ("SIGHUP", "SIGKILL", "SIGTERM") if hasattr(signal, name)}
"""Signals from outside a process; others, such as a segmentation fault, come from its own code."""

UNKNOWN_END = 255
"""Exit code that ``multiprocessing`` gives to all processes of a fork server that was killed, also to running ones."""

RunJob = Callable[[Any, int, Callable[[Any], None]], None]
"""Runs a job with its number in the launcher's list, and sends its messages to the launcher."""


@dataclass
class WorkerProcess:
    """A worker process as the launcher sees it.

    Attributes:
        job: the job that it runs; ``None`` before the first job and after the last.
        finished: ids of the cells of that job that it has reported as finished or failed.
        is_ready: whether it waits for a job.
        is_stopping: whether it was told that no jobs remain, or to end.
        has_progressed: whether the launcher has received a snapshot of its job, from which another worker resumes.
        heard: time of its last message, or of the job that it was given.
        is_silent: whether it was ended because it reported nothing for too long.
        host: its machine; empty for this one, and while it is not known.
    """

    process: Any
    connection: Any
    job: NumberedJob | None = None
    finished: set[str] = field(default_factory=set)
    is_stopping: bool = False
    heard: float = field(default_factory=time.monotonic)
    is_silent: bool = False
    is_ready: bool = False
    has_progressed: bool = False
    host: str = ""

    @classmethod
    def start(cls, slot: Slot | None) -> "WorkerProcess":
        """Start a process on this machine; ``slot`` is its part of a GPU."""
        os.environ["OMP_NUM_THREADS"] = "1"
        context = start_context(preload=[] if slot else [__name__])
        connection, other_end = context.Pipe()
        process = context.Process(target=serve, args=(other_end, slot.memory_share if slot else None))
        with clean_start(), visible(slot):
            _start(process)
        other_end.close()
        return cls(process, connection)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the process; ``None`` if it is not known."""
        code: int | None = self.process.exitcode
        return None if code == UNKNOWN_END else code

    @property
    def end(self) -> Literal["killed", "crashed", "lost"]:
        """How the process has ended: by a signal from outside, by its own code, or with its machine or fork server."""
        code = self.exit_code
        if code is None:
            return "lost"
        is_signal = -code in MACHINE_SIGNALS or code - 128 in MACHINE_SIGNALS  # the latter if the process handles it
        return "killed" if is_signal else "crashed"

    @property
    def end_text(self) -> str:
        """How the process has ended, and on which other machine."""
        code = self.exit_code
        text = f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
        return f"{'lost' if code is None else text}{f' on {self.host}' if self.host else ''}"

    def give(self, job: NumberedJob | None) -> bool:
        """Send the next job, or ``None`` if no jobs remain. Return whether the process could still take it."""
        self.job, self.finished, self.is_stopping, self.heard = None, set(), job is None, time.monotonic()
        self.is_ready = self.has_progressed = False
        try:
            self.connection.send(job)
        except OSError:  # the process has ended, which the launcher notices next
            return False
        self.job = job
        return True

    def messages(self) -> list[Any]:
        """Return the messages that have arrived."""
        messages = []
        try:
            while self.connection.poll():
                messages.append(self.connection.recv())
                self.heard = time.monotonic()
        except (EOFError, OSError):
            pass  # the process has ended
        return messages

    def end_if_silent(self, timeout: float) -> None:
        """End the process if it has a job and has reported nothing for ``timeout`` seconds."""
        if self.job and not self.is_silent and time.monotonic() - self.heard > timeout:
            self.is_silent = True
            self.process.kill()

    def interrupt(self) -> None:
        """Ask the process to end, after a snapshot of its training, unless it was told to stop already.

        A second signal would end it at once, without the snapshot.
        """
        if not self.is_stopping:
            self.is_stopping = True
            self.process.terminate()

    def stop(self) -> None:
        """End the process and free what belongs to it."""
        self.interrupt()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        if self.process.exitcode == UNKNOWN_END and (pid := getattr(self.process, "pid", None)):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # it may still run
        self.connection.close()


def _start(process: Any) -> None:
    """Start a process. A fork server that was killed refuses, until its end is noticed and another one is started."""
    for pause in START_PAUSES:
        try:
            process.start()
            return
        except (ConnectionError, EOFError):
            time.sleep(pause)
    process.start()


def serve(
    connection: Connection, memory_share: float | None, run: RunJob = run_job, folder: Path | None = None
) -> None:
    """Run the jobs that the launcher sends, until it sends ``None`` or ends the process by SIGTERM.

    Args:
        memory_share: share of a GPU's memory that this process may use.
        run: runs a job in the form in which it is sent.
        folder: removed when the process ends.
    """
    try:
        with INTERRUPTION.handled(signal.SIGTERM):
            _serve(connection, memory_share, run, folder)
    except Interrupted as interrupted:
        _exit(interrupted.code, folder)
    finally:
        _remove(folder)


def _serve(connection: Connection, memory_share: float | None, run: RunJob, folder: Path | None) -> None:
    threading.Thread(target=_exit_with_launcher, args=(folder,), daemon=True).start()
    replace_unencodable()
    torch.set_num_threads(1)
    gc.freeze()  # collections between jobs then skip the objects of the imports, which take 0.1 s to visit
    if memory_share is not None:
        torch.cuda.set_per_process_memory_fraction(memory_share)
    _send(connection, READY)
    while (numbered := _receive(connection)) is not None:
        number, job = numbered
        try:
            run(job, number, lambda message: _send(connection, message))
        except Exception as error:
            _send(connection, _picklable(error))
            return
        _send(connection, READY)


def _exit_with_launcher(folder: Path | None) -> None:
    """Exit once the launcher is gone, which closes a pipe that this process holds from its start."""
    launcher = parent_process()
    assert launcher is not None
    launcher.join()
    _exit(1, folder)


def _exit(code: int, folder: Path | None) -> None:
    _remove(folder)
    os._exit(code)


def _remove(folder: Path | None) -> None:
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


def _send(connection: Connection, message: Any) -> None:
    try:
        connection.send(message)
    except OSError:  # the launcher is gone; an exception would be recorded as the failure of a cell
        os._exit(1)


def _receive(connection: Connection) -> NumberedJob | None:
    try:
        job: NumberedJob | None = connection.recv()
    except (EOFError, OSError):  # the launcher is gone
        return None
    return job


def _picklable(error: Exception) -> Exception:
    """Return the error with its traceback as a note, or another one with its text if it cannot be sent."""
    text = "".join(traceback.format_exception(error))
    try:
        error.add_note(text)
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(text)
    return error
