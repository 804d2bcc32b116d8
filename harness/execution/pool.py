"""The local launcher: runs jobs in worker processes, one for each CPU core or two for a GPU.

While one worker of a GPU builds models, captures steps or writes records, the other one trains. Each worker has one
thread, because two OpenMP threads on a busy pair of cores are several times slower than one.

A worker process may die in a job. If the machine ended it (a kill, mostly because memory ran out), its cells are tried
again: several in halves, a single one up to three times. If it crashed or reported nothing for too long, the code of
its cells is to blame. After a crash they are tried once more without other workers. Cells that remain are recorded as
failed with this cause, and the other jobs continue.
"""

import signal
from collections import Counter, deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

import torch

from harness.config.cell import Cell
from harness.errors import UserError
from harness.execution.job import Emit, Event, Job
from harness.execution.progress import duration
from harness.execution.run_status import runs_user_code
from harness.execution.worker import Worker, run_job
from harness.execution.worker_process import READY, NumberedJob, WorkerProcess
from harness.storage.folder import RunFolder
from harness.storage.records import Cause
from harness.training.code_version import cell_fingerprints
from harness.training.memory import split_in_half

FAILED_STARTS = 3
"""Worker processes that may end before their first job, in a row, until no more are started."""
ATTEMPTS = 3
"""Worker processes that the machine may end while they run one cell, until the cell counts as failed."""
MACHINE_SIGNALS = {getattr(signal, name) for name in ("SIGHUP", "SIGKILL", "SIGTERM") if hasattr(signal, name)}
"""Signals from outside a process; others, such as a segmentation fault, come from its own code."""


def launch(jobs: Sequence[Job], workers: int, emit: Emit, timeout: float | None = None) -> None:
    """Run all jobs.

    One worker is this process itself, unless it runs the user's code, which could end it, or may have to be ended.

    Args:
        timeout: seconds after which a worker that reports nothing is ended.
    """
    size = min(workers, len(jobs))
    if size <= 1 and timeout is None and not any(runs_user_code(job.cells[0]) for job in jobs):
        torch.set_num_threads(1)
        for number, job in enumerate(jobs):
            run_job(job, number, emit)
        return
    remaining, deaths = list(enumerate(jobs)), Counter[str]()
    while remaining:
        remaining = Pool(remaining, size, emit, deaths, timeout).run()
        size = 1  # a worker can die because others used up the memory


class Pool:
    """Worker processes that take jobs from one list.

    Attributes:
        waiting: the jobs that no worker has taken.
        interrupted: what remains of jobs whose worker has died, to be tried again without other workers.
        deaths: how many worker processes have died while they ran a cell, by its id.
        failed_starts: workers that have ended before their first job, since a job was finished.
    """

    def __init__(
        self, jobs: Sequence[NumberedJob], size: int, emit: Emit, deaths: Counter[str], timeout: float | None
    ) -> None:
        self.waiting, self.size, self.emit = deque(jobs), size, emit
        self.deaths, self.timeout = deaths, timeout
        self.memory_share = 1 / size if jobs[0][1].device.startswith("cuda") else None
        self.workers: list[WorkerProcess] = []
        self.interrupted: list[NumberedJob] = []
        self.failed_starts = 0
        self.last_exit: int | None = None

    def run(self) -> list[NumberedJob]:
        """Run all jobs; return those to try again without other workers.

        Raises :class:`UserError` if no worker process can be started.
        """
        try:
            while self.waiting or self.workers:
                self._start_workers()
                self._wait()
                for worker in list(self.workers):
                    self._attend(worker)
            return self.interrupted
        finally:
            for worker in self.workers:
                worker.interrupt()
            for worker in self.workers:
                worker.stop()

    def _start_workers(self) -> None:
        """Start as many workers as there are jobs for, and none after too many failed starts."""
        active = [worker for worker in self.workers if not worker.is_stopping]
        starting = sum(worker.job is None for worker in active)
        for _ in range(min(self.size - len(active), len(self.waiting) - starting)):
            if self.failed_starts < FAILED_STARTS:
                self.workers.append(WorkerProcess.start(self.memory_share))
        if not self.workers:
            advice = "; use workers=1 (--workers 1)" if self.size > 1 else ""
            raise UserError(
                f"{self.failed_starts} worker processes ended before their first job (the last one: "
                f"{_exit_text(self.last_exit)}); finished cells are kept{advice}"
            )

    def _wait(self) -> None:
        """Wait until a worker has sent a message or has ended, and end those that are silent for too long."""
        connections = [worker.connection for worker in self.workers if not worker.is_stopping]
        wait([*connections, *(worker.process.sentinel for worker in self.workers)], self.timeout)
        if self.timeout is not None:
            for worker in self.workers:
                worker.end_if_silent(self.timeout)

    def _attend(self, worker: WorkerProcess) -> None:
        """Handle the messages of a worker, and its end."""
        has_ended = not worker.process.is_alive()  # before the messages are read, so that none is missed
        for message in worker.messages():
            self._handle(worker, message, has_ended)
        if has_ended:
            self.workers.remove(worker)
            worker.stop()
            self._take_back_job(worker)

    def _handle(self, worker: WorkerProcess, message: Any, has_ended: bool) -> None:
        if isinstance(message, Exception):
            raise message
        if message == READY:
            if worker.job is not None:
                self.failed_starts = 0
            job = self.waiting.popleft() if self.waiting and not has_ended else None
            if not worker.give(job) and job is not None:
                self.waiting.appendleft(job)
            return
        if message.cell:
            worker.finished.add(message.cell)
        self.emit(message)

    def _take_back_job(self, worker: WorkerProcess) -> None:
        """Decide what happens to the job of a worker that has ended, if it had one."""
        code = worker.process.exitcode
        if worker.job is None:
            if self.waiting:
                self.failed_starts, self.last_exit = self.failed_starts + 1, code
            return
        number, job = worker.job
        for part in _remaining_jobs(job, worker.finished):
            self.deaths.update(cell.id for cell in part.cells)
            again = self._again(part, worker)
            self.interrupted += [(number, smaller) for smaller in again]
            if not again:
                _fail(part, number, *self._reason(worker), self.emit)

    def _again(self, part: Job, worker: WorkerProcess) -> list[Job]:
        """Return the jobs by which cells whose worker has died are tried again; see the module."""
        if worker.is_silent:
            return []
        if not _is_ended_from_outside(worker.process.exitcode):
            return [part] if any(other.job for other in self.workers) else []
        if len(part.cells) > 1:
            return [replace(part, cells=part.cells[half]) for half in split_in_half(len(part.cells))]
        return [part] if self.deaths[part.cells[0].id] < ATTEMPTS else []

    def _reason(self, worker: WorkerProcess) -> tuple[str, Cause]:
        """Return why the cells of a worker have failed, and who is to blame."""
        if worker.is_silent:
            return f"the worker process reported nothing for {duration(self.timeout or 0)} (--timeout)", "model"
        text = f"the worker process died ({_exit_text(worker.process.exitcode)})"
        if _is_ended_from_outside(worker.process.exitcode):
            return f"{text} in {ATTEMPTS} attempts; it may have run out of memory; the next run tries again", "machine"
        return f"{text}; it may have run out of memory", "model"


def _remaining_jobs(job: Job, finished: set[str]) -> list[Job]:
    """Return what remains of a job: one that only evaluates the cells that are trained, and one for the others."""
    cells = [cell for cell in job.cells if cell.id not in finished]
    trained = [cell for cell in cells if not job.train or _is_trained(cell, job)]
    untrained = [cell for cell in cells if cell not in trained]
    parts = (replace(job, cells=tuple(trained), train=False), replace(job, cells=tuple(untrained)))
    return [part for part in parts if part.cells]


def _is_trained(cell: Cell, job: Job) -> bool:
    """Whether the cell has a record of the current code. A job that trains a cell begins without such a record."""
    record = RunFolder(job.folder).cell(cell.id).training
    return record is not None and record.fingerprints == cell_fingerprints(cell)


def _fail(job: Job, number: int, reason: str, cause: Cause, emit: Emit) -> None:
    """Report the cells of a job as failed. Cells that were to be trained get a record of it, others keep theirs."""
    error = RuntimeError(reason)
    for cell in job.cells:
        if job.train:
            Worker(job, number, emit).fail(cell, error, cause)
        else:
            emit(Event(number, "failed", 1.0, f"{cell}: evaluation: {error}", cell.id))


def _is_ended_from_outside(code: int | None) -> bool:
    """Whether a process with this exit code was ended by a signal from outside, which a worker may handle first."""
    return code is not None and (-code in MACHINE_SIGNALS or code - 128 in MACHINE_SIGNALS)


def _exit_text(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
