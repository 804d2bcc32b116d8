"""A pool of worker processes that run the jobs of a list, one at a time each, wherever the processes are.

A worker process may die in a job. If the machine ended it (a kill, mostly because memory ran out, or the loss of its
machine), its cells are tried again: several in halves, a single one up to three times. If it crashed or reported
nothing for too long, the code of its cells is to blame. After a crash they are tried again, because others may have
used up the memory. Cells that remain are recorded as failed with this cause, and the other jobs continue.

Jobs are tried again on another machine where the pool has one. Workers of one machine leave them for a further pool,
without other workers.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol

from harness.config.cell import Cell
from harness.errors import UserError
from harness.execution.job import Emit, Event, Job
from harness.execution.progress import duration
from harness.execution.worker import Worker
from harness.execution.worker_process import READY, NumberedJob, WorkerProcess
from harness.storage.records import Cause
from harness.training.code_version import cell_fingerprints
from harness.training.memory import split_in_half

FAILED_STARTS = 3
"""Worker processes that may end before their first job, in a row, until no more are started."""
ATTEMPTS = 3
"""Worker processes that the machine may end while they run one cell, until the cell counts as failed."""


class Workers(Protocol):
    """Where the worker processes of a pool run."""

    def size(self) -> int:
        """Return how many there may be now."""

    def start(self) -> WorkerProcess:
        """Start one."""

    def wait(self, workers: Sequence[WorkerProcess], seconds: float | None) -> None:
        """Wait until one of these has sent a message or has ended, at most for some seconds."""


class Pool:
    """Worker processes that take jobs from one list.

    Attributes:
        waiting: the jobs that no worker has taken.
        interrupted: what remains of jobs whose worker has died, to be tried again without other workers.
        deaths: the machines on which worker processes have died while they ran a cell, by its id.
        failed_starts: workers that have ended before their first job, since a job was finished.
        timeout: seconds after which a worker that reports nothing is ended.
    """

    def __init__(
        self,
        jobs: Sequence[NumberedJob],
        places: Workers,
        emit: Emit,
        deaths: dict[str, list[str]],
        timeout: float | None,
    ) -> None:
        self.waiting, self.places, self.emit = deque(jobs), places, emit
        self.deaths, self.timeout = deaths, timeout
        self.workers: list[WorkerProcess] = []
        self.interrupted: list[NumberedJob] = []
        self.failed_starts = 0
        self.last_end = ""

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
                self._give_jobs()
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
        for _ in range(min(self.places.size() - len(active), len(self.waiting) - starting)):
            if self.failed_starts < FAILED_STARTS:
                self.workers.append(self.places.start())
        if not self.workers:
            can_use_fewer = self.places.size() > 1 and not self.last_end.startswith("lost")
            advice = "; use workers=1 (--workers 1)" if can_use_fewer else ""
            raise UserError(
                f"{self.failed_starts} worker processes ended before their first job (the last one: "
                f"{self.last_end}); finished cells are kept{advice}"
            )

    def _wait(self) -> None:
        """Wait until a worker has sent a message or has ended, and end those that are silent for too long."""
        self.places.wait(self.workers, self.timeout)
        if self.timeout is not None:
            for worker in self.workers:
                worker.end_if_silent(self.timeout)

    def _attend(self, worker: WorkerProcess) -> None:
        """Handle the messages of a worker, and its end."""
        has_ended = not worker.process.is_alive()  # before the messages are read, so that none is missed
        for message in worker.messages():
            self._handle(worker, message)
        if has_ended:
            self.workers.remove(worker)
            worker.stop()
            self._take_back_job(worker)

    def _give_jobs(self) -> None:
        """Give a job to each worker that asks for one, and end those for which there is none."""
        for worker in self.workers:
            if worker.is_ready and (job := self._job_for(worker)) and not worker.give(job):
                self.waiting.appendleft(job)
            elif not self.waiting and worker.job is None and not worker.is_stopping:
                worker.give(None)

    def _job_for(self, worker: WorkerProcess) -> NumberedJob | None:
        """Take a job from the list: one whose workers have not died on the machine of this worker, or died on all."""
        hosts = {other.host for other in self.workers if other.host and not other.is_stopping}
        for job in self.waiting:
            died = {host for cell in job[1].cells for host in self.deaths.get(cell.id, ())}
            if worker.host not in died or hosts <= died:
                self.waiting.remove(job)
                return job
        return None

    def _handle(self, worker: WorkerProcess, message: Any) -> None:
        if isinstance(message, Exception):
            raise message
        if message == READY:
            if worker.job is not None:
                self.failed_starts = 0
            worker.job, worker.is_ready = None, True
            return
        if message.cell:
            worker.finished.add(message.cell)
        self.emit(message)

    def _take_back_job(self, worker: WorkerProcess) -> None:
        """Decide what happens to the job of a worker that has ended, if it had one."""
        if worker.job is None:
            if self.waiting:
                self.failed_starts, self.last_end = self.failed_starts + 1, worker.end_text
            return
        number, job = worker.job
        for part in _remaining_jobs(job, worker.finished):
            for cell in part.cells:
                earlier = [] if worker.has_progressed else self.deaths.get(cell.id, [])
                self.deaths[cell.id] = [*earlier, worker.host]
            again = [(number, smaller) for smaller in self._again(part, worker)]
            (self.waiting if worker.host else self.interrupted).extend(again)
            if again:
                text = f"{part}: the worker process died ({worker.end_text}); it is tried again"
                self.emit(Event(number, "note", text=text))
            else:
                _fail(part, number, *self._reason(worker), self.emit)

    def _again(self, part: Job, worker: WorkerProcess) -> list[Job]:
        """Return the jobs by which cells whose worker has died are tried again; see the module."""
        if worker.is_silent:
            return []
        if worker.end == "killed" and len(part.cells) > 1:
            return [replace(part, cells=part.cells[half]) for half in split_in_half(len(part.cells))]
        may_be_others = worker.end != "crashed" or any(other.job for other in self.workers)
        return [part] if may_be_others and len(self.deaths[part.cells[0].id]) < ATTEMPTS else []

    def _reason(self, worker: WorkerProcess) -> tuple[str, Cause]:
        """Return why the cells of a worker have failed, and who is to blame."""
        if worker.is_silent:
            return f"the worker process reported nothing for {duration(self.timeout or 0)} (--timeout)", "model"
        text = f"the worker process died ({worker.end_text})"
        if worker.end != "crashed":
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
    record = job.folder.cell(cell.id).training
    return record is not None and record.fingerprints == cell_fingerprints(cell)


def _fail(job: Job, number: int, reason: str, cause: Cause, emit: Emit) -> None:
    """Report the cells of a job as failed. Cells that were to be trained get a record of it, others keep theirs."""
    error = RuntimeError(reason)
    for cell in job.cells:
        if job.train:
            Worker(job, number, emit).fail(cell, error, cause)
        else:
            emit(Event(number, "failed", 1.0, f"{cell}: evaluation: {error}", cell.id))
