"""The local launcher: runs jobs in worker processes, one for each CPU core or two for a GPU.

While one worker of a GPU builds models, captures steps or writes records, the other one trains. Each worker has one
thread, because two OpenMP threads on a busy pair of cores are several times slower than one. If a worker process dies,
the cells of its job are recorded as failed and the other jobs continue.
"""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.queues import Queue
from queue import Empty
from typing import Any

import torch

from harness.execution.job import Emit, Event, Job
from harness.execution.worker import Worker, run_job

NumberedJob = tuple[int, Job]
"""A job and its position in the list that was launched."""


def launch(jobs: Sequence[Job], workers: int, emit: Emit) -> None:
    """Run all jobs, in this process if one worker is enough."""
    if min(workers, len(jobs)) <= 1:
        torch.set_num_threads(1)
        for number, job in enumerate(jobs):
            run_job(job, number, emit)
        return
    remaining = list(enumerate(jobs))
    while remaining:
        remaining = _run_pool(remaining, min(workers, len(remaining)), emit)


def _run_pool(jobs: list[NumberedJob], workers: int, emit: Emit) -> list[NumberedJob]:
    """Run jobs in a pool of processes; return those that remain after the death of a worker."""
    context = multiprocessing.get_context("spawn")
    events: Queue[Event] = context.Queue()
    started = context.Queue()
    os.environ["OMP_NUM_THREADS"] = "1"
    memory_share = 1 / workers if jobs[0][1].device.startswith("cuda") else None
    pool = ProcessPoolExecutor(workers, context, _initialize_worker, (events, started, memory_share))
    futures: dict[Future[None], NumberedJob] = {}
    try:
        with _interrupts_ignored():
            futures = {pool.submit(_run_in_worker, job, number): (number, job) for number, job in jobs}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            _emit_all(events, emit)
            for future in done:
                future.result()
        _emit_all(events, emit)
        return []
    except BrokenProcessPool:
        _emit_all(events, emit)
        return _retry_after_worker_death(futures, started, emit)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ignore Ctrl-C while workers are started. They inherit this, so that only the launcher reacts and ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _retry_after_worker_death(
    futures: dict[Future[None], NumberedJob], started: "Queue[int]", emit: Emit
) -> list[NumberedJob]:
    """Find the job whose worker died and record its cells as failed; return the jobs that remain."""
    # The pool does not say which worker died, and it ends all others. The queue holds the numbers of started jobs.
    started_numbers = set(_read_all(started))
    unfinished = [
        (n, job) for f, (n, job) in futures.items() if not f.done() or f.cancelled() or f.exception() is not None
    ]
    running = [(n, job) for n, job in unfinished if n in started_numbers]
    # If only one job was running, it was in the worker that died.
    if len(running) == 1:
        number, job = running[0]
        error = RuntimeError("the worker process died; it may have run out of memory")
        for cell in job.cells:
            Worker(job, number, emit).fail(cell, error)
        return [(n, job) for n, job in unfinished if n != number]
    # Otherwise each of them runs again in a pool of one worker. A job that kills its worker there fails as above.
    for number, job in running:
        remaining = _run_pool([(number, job)], 1, emit)
        assert not remaining
    # Jobs that had not started run in the next pool.
    return [(n, job) for n, job in unfinished if n not in started_numbers]


def _initialize_worker(events: "Queue[Event]", started: "Queue[int]", memory_share: float | None) -> None:
    """Set up a worker process: its queues, one thread, its share of a GPU's memory, and its end with the launcher."""
    global _EVENTS, _STARTED
    _EVENTS, _STARTED = events, started
    torch.set_num_threads(1)
    if memory_share is not None:
        torch.cuda.set_per_process_memory_fraction(memory_share)
    threading.Thread(target=_exit_with_parent, args=(os.getppid(),), daemon=True).start()


def _exit_with_parent(parent: int) -> None:
    """Exit once the parent process is gone."""
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _run_in_worker(job: Job, number: int) -> None:
    _STARTED.put(number)
    run_job(job, number, _EVENTS.put)


def _emit_all(events: "Queue[Event]", emit: Emit) -> None:
    for event in _read_all(events):
        emit(event)


def _read_all(queue: Any) -> list[Any]:
    """Return the items that are in a queue now."""
    items = []
    while True:
        try:
            items.append(queue.get(timeout=0.01))
        except Empty:
            return items


_EVENTS: Any = None
_STARTED: Any = None
