"""The local launcher: one process a core with one thread each; on a GPU two, so that it is not left waiting.

While one worker of a GPU builds the models of its next group, captures steps or writes records, the other one trains.
Two OpenMP threads on a busy pair of cores are several times slower than one, so threads are never shared out.
A worker that dies takes its own job with it, which is recorded as failed; the others go on.
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


def launch(jobs: Sequence[Job], workers: int, tell: Emit) -> None:
    """Do all jobs, in this process if one worker is enough."""
    if min(workers, len(jobs)) <= 1:
        torch.set_num_threads(1)
        for number, job in enumerate(jobs):
            run_job(job, number, tell)
        return
    left = list(enumerate(jobs))
    while left:
        left = _pool(left, min(workers, len(left)), tell)


def _pool(jobs: list[tuple[int, Job]], workers: int, tell: Emit) -> list[tuple[int, Job]]:
    """Do jobs in a pool of processes; return those left over when a worker died."""
    context = multiprocessing.get_context("spawn")
    events: Queue[Event] = context.Queue()
    begun = context.Queue()
    os.environ["OMP_NUM_THREADS"] = "1"
    share = 1 / workers if jobs[0][1].device.startswith("cuda") else None
    pool = ProcessPoolExecutor(workers, context, _begin, (events, begun, share))
    futures: dict[Future[None], tuple[int, Job]] = {}
    try:
        with _deaf_to_interrupts():
            futures = {pool.submit(_work, job, number): (number, job) for number, job in jobs}
        pending = set(futures)
        while pending:
            done, pending = wait(pending, timeout=0.2, return_when=FIRST_COMPLETED)
            _drain(events, tell)
            for future in done:
                future.result()
        _drain(events, tell)
        return []
    except BrokenProcessPool:
        _drain(events, tell)
        return _after_death(futures, begun, tell)
    except BaseException:
        for process in list((pool._processes or {}).values()):
            process.terminate()
        raise
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


@contextmanager
def _deaf_to_interrupts() -> Iterator[None]:
    """Start workers in here: they inherit it, so that Ctrl-C reaches the launcher alone, which ends them."""
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _after_death(
    futures: dict[Future[None], tuple[int, Job]], begun: "Queue[int]", tell: Emit
) -> list[tuple[int, Job]]:
    """Retry alone what was running when a worker died; if it is alone already, record its failure."""
    started = set(_all_of(begun))
    unfinished = [
        (n, job) for f, (n, job) in futures.items() if not f.done() or f.cancelled() or f.exception() is not None
    ]
    running = [(n, job) for n, job in unfinished if n in started]
    if len(running) == 1:
        number, job = running[0]
        for cell in job.cells:
            Worker(job, number, tell).fail(cell, RuntimeError("its worker process died, perhaps for want of memory"))
        return [(n, job) for n, job in unfinished if n != number]
    for number, job in running:
        rest = _pool([(number, job)], 1, tell)
        assert not rest
    return [(n, job) for n, job in unfinished if n not in started]


def _begin(events: "Queue[Event]", begun: "Queue[int]", share: float | None) -> None:
    """Set up a worker process: one thread, its share of a GPU's memory, and an end when the launcher is gone."""
    global _EVENTS, _BEGUN
    _EVENTS, _BEGUN = events, begun
    torch.set_num_threads(1)
    if share is not None:
        torch.cuda.set_per_process_memory_fraction(share)
    threading.Thread(target=_end_with_parent, args=(os.getppid(),), daemon=True).start()


def _end_with_parent(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(1)
    os._exit(1)


def _work(job: Job, number: int) -> None:
    _BEGUN.put(number)
    run_job(job, number, _EVENTS.put)


def _drain(events: "Queue[Event]", tell: Emit) -> None:
    for event in _all_of(events):
        tell(event)


def _all_of(queue: Any) -> list[Any]:
    found = []
    while True:
        try:
            found.append(queue.get(timeout=0.01))
        except Empty:
            return found


_EVENTS: Any = None
_BEGUN: Any = None
