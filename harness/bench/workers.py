"""Two workers at once: what is left of each core's speed when the harness keeps both busy.

Two processes alternate, in step with each other, between blocks of the plain loop and blocks of the harness's trainer
reporting its progress through a queue as a worker does.
"""

import multiprocessing
from collections.abc import Callable
from multiprocessing.synchronize import Barrier
from statistics import median
from typing import Any

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.timing import BLOCKS, block
from harness.bench.workload import make_workload
from harness.execution.job import Event
from harness.registry.catalog import Catalog


def two_workers(architecture: str, steps: int, processes: int = 2) -> float:
    """Return the joint throughput of ``processes`` workers relative to as many plain loops side by side."""
    context = multiprocessing.get_context("spawn")
    barrier, results, events = context.Barrier(processes), context.Queue(), context.Queue()
    arguments = (architecture, steps, barrier, results, events)
    workers = [context.Process(target=_alternate, args=arguments, daemon=True) for _ in range(processes)]
    for worker in workers:
        worker.start()
    timings = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.kill()
    rounds = zip(*timings, strict=True)
    return median(sum(1 / harness for _, harness in each) / sum(1 / plain for plain, _ in each) for each in rounds)


def _alternate(architecture: str, steps: int, barrier: Barrier, results: Any, events: Any) -> None:
    torch.set_num_threads(1)
    subject = make_workload(architecture, Catalog(), "cpu")
    plain, trainer = PlainLoop(subject), subject.trainer()
    trainer.listen = lambda done, loss: events.put(Event(0, "progress", done / steps, f"loss {loss:.3f}"))
    each = max(1, steps // BLOCKS)

    def reporting() -> None:
        trainer.step()
        if trainer.done % each == 0:
            trainer.log()

    sides: tuple[Callable[[], None], Callable[[], None]] = (plain.step, reporting)
    timings = []
    for _ in range(BLOCKS + 1):
        pair = []
        for side in sides:
            barrier.wait()
            pair.append(block(side, each, "cpu"))
        timings.append(tuple(pair))
    results.put(timings[1:])
