"""The local launcher: runs jobs in worker processes, one for each CPU core or two for a GPU.

While one worker of a GPU builds models, captures steps or writes records, the other one trains. Each worker has one
thread, because two OpenMP threads on a busy pair of cores are several times slower than one. If a worker process dies,
the unfinished cells of its job are recorded as failed and the other jobs continue.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import wait
from typing import Any

import torch

from harness.config.cell import Cell
from harness.errors import UserError
from harness.execution.job import Emit, Event, Job
from harness.execution.worker import Worker, run_job
from harness.execution.worker_process import READY, NumberedJob, WorkerProcess
from harness.storage.folder import RunFolder
from harness.training.code_version import cell_fingerprints

FAILED_STARTS = 3
"""Worker processes that may end before their first job, in a row, until no more are started."""


def launch(jobs: Sequence[Job], workers: int, emit: Emit) -> None:
    """Run all jobs, in this process if one worker is enough."""
    if min(workers, len(jobs)) <= 1:
        torch.set_num_threads(1)
        for number, job in enumerate(jobs):
            run_job(job, number, emit)
        return
    # A worker can die because others used up the memory, so its job gets a second attempt without others.
    interrupted = Pool(list(enumerate(jobs)), min(workers, len(jobs)), emit).run()
    if interrupted:
        Pool(interrupted, 1, emit).run()


class Pool:
    """Worker processes that take jobs from one list.

    Attributes:
        waiting: the jobs that no worker has taken.
        interrupted: what remains of the jobs whose worker died while others were running.
        failed_starts: workers that have ended before their first job, since a job was finished.
    """

    def __init__(self, jobs: Sequence[NumberedJob], size: int, emit: Emit) -> None:
        self.waiting, self.size, self.emit = deque(jobs), size, emit
        self.memory_share = 1 / size if jobs[0][1].device.startswith("cuda") else None
        self.workers: list[WorkerProcess] = []
        self.interrupted: list[NumberedJob] = []
        self.failed_starts = 0
        self.last_exit: int | None = None

    def run(self) -> list[NumberedJob]:
        """Run all jobs; return those to repeat without other workers.

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
            raise UserError(
                f"{self.failed_starts} worker processes ended before their first job (the last one: "
                f"{_exit_text(self.last_exit)}); finished cells are kept; use workers=1 (--workers 1)"
            )

    def _wait(self) -> None:
        """Wait until a worker has sent a message or has ended."""
        connections = [worker.connection for worker in self.workers if not worker.is_stopping]
        wait([*connections, *(worker.process.sentinel for worker in self.workers)])

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
        remaining = _remaining_jobs(job, worker.finished)
        if any(other.job for other in self.workers):
            self.interrupted += [(number, part) for part in remaining]
            return
        for part in remaining:
            _fail(part, number, f"the worker process died ({_exit_text(code)})", self.emit)


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


def _fail(job: Job, number: int, reason: str, emit: Emit) -> None:
    """Report the cells of a job as failed. Cells that were to be trained get a record of it, others keep theirs."""
    error = RuntimeError(f"{reason}; it may have run out of memory")
    for cell in job.cells:
        if job.train:
            Worker(job, number, emit).fail(cell, error)
        else:
            emit(Event(number, "failed", 1.0, f"{cell}: evaluation: {error}", cell.id))


def _exit_text(code: int | None) -> str:
    return f"signal {-code}" if code is not None and code < 0 else f"exit code {code}"
