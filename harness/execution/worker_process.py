"""A worker process: it asks the launcher for one job at a time, and ends when the launcher ends."""

import os
import pickle
import signal
import threading
import time
import traceback
from dataclasses import dataclass, field
from multiprocessing import parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from harness.encoding import replace_unencodable
from harness.execution.interruption import INTERRUPTION, Interrupted
from harness.execution.job import Event, Job
from harness.execution.processes import clean_start, start_context
from harness.execution.worker import run_job

NumberedJob = tuple[int, Job]
"""A job and its position in the list that was launched."""

READY = "ready"
"""The message by which a worker asks for a job. Its other messages are events, and errors that end the run."""

STOP_SECONDS = 5.0


@dataclass
class WorkerProcess:
    """A worker process as the launcher sees it.

    Attributes:
        job: the job that it runs; ``None`` before the first job and after the last.
        finished: ids of the cells of that job that it has reported as finished or failed.
        is_stopping: whether it was told that no jobs remain.
        heard: time of its last message, or of the job that it was given.
        is_silent: whether it was ended because it reported nothing for too long.
    """

    process: BaseProcess
    connection: Connection
    job: NumberedJob | None = None
    finished: set[str] = field(default_factory=set)
    is_stopping: bool = False
    heard: float = field(default_factory=time.monotonic)
    is_silent: bool = False

    @classmethod
    def start(cls, memory_share: float | None) -> "WorkerProcess":
        """Start a process; ``memory_share`` is its share of a GPU's memory."""
        os.environ["OMP_NUM_THREADS"] = "1"
        context = start_context(preload=[] if memory_share else [__name__])
        connection, other_end = context.Pipe()
        process = context.Process(target=serve, args=(other_end, memory_share))
        with clean_start():
            process.start()
        other_end.close()
        return cls(process, connection)

    def give(self, job: NumberedJob | None) -> bool:
        """Send the next job, or ``None`` if no jobs remain. Return whether the process could still take it."""
        self.job, self.finished, self.is_stopping, self.heard = None, set(), job is None, time.monotonic()
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
        """Ask the process to end, after a snapshot of its training, unless it was told to stop anyway."""
        if not self.is_stopping:
            self.process.terminate()

    def stop(self) -> None:
        """End the process and free what belongs to it."""
        self.interrupt()
        self.process.join(STOP_SECONDS)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()
        self.connection.close()


def serve(connection: Connection, memory_share: float | None) -> None:
    """Run the jobs that the launcher sends, until it sends ``None`` or ends the process by SIGTERM."""
    try:
        with INTERRUPTION.handled(signal.SIGTERM):
            _serve(connection, memory_share)
    except Interrupted as interrupted:
        os._exit(interrupted.code)


def _serve(connection: Connection, memory_share: float | None) -> None:
    threading.Thread(target=_exit_with_launcher, daemon=True).start()
    replace_unencodable()
    torch.set_num_threads(1)
    if memory_share is not None:
        torch.cuda.set_per_process_memory_fraction(memory_share)
    _send(connection, READY)
    while (numbered := _receive(connection)) is not None:
        number, job = numbered
        try:
            run_job(job, number, lambda event: _send(connection, event))
        except Exception as error:
            _send(connection, _picklable(error))
            return
        _send(connection, READY)


def _exit_with_launcher() -> None:
    """Exit once the launcher is gone, which closes a pipe that this process holds from its start."""
    launcher = parent_process()
    assert launcher is not None
    launcher.join()
    os._exit(1)


def _send(connection: Connection, message: Event | Exception | str) -> None:
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
