"""Throughput of two workers that train at the same time, compared with two plain loops.

Two processes alternate between blocks of steps of the plain loop and of the harness's trainer. A barrier keeps their
blocks in step. The workers of a run start at different times and do different work at the same moment, so there is a
second order: while one process trains with the harness, the other one runs the plain loop. The trainer reports its
progress through a queue, as a worker does.
"""

import multiprocessing
from collections.abc import Callable, Sequence
from multiprocessing.synchronize import Barrier
from pathlib import Path
from statistics import median
from typing import Any

import torch

from harness.bench.baseline import PlainLoop
from harness.bench.timing import BLOCKS, time_calls
from harness.bench.workload import make_workload
from harness.execution.job import Event
from harness.execution.processes import clean_start
from harness.registry.catalog import Catalog


def compare_workers(
    architecture: str, steps: int, plugins: Sequence[Path] = (), *, together: bool, processes: int = 2
) -> float:
    """Return the joint throughput of workers, relative to as many plain loops.

    ``together``: all processes train with the harness at the same time; otherwise every other one runs the plain loop.
    """
    context = multiprocessing.get_context("spawn")
    barrier, results, events = context.Barrier(processes), context.Queue(), context.Queue()
    workers = [
        context.Process(
            target=_alternate,
            args=(architecture, steps, tuple(plugins), not together and bool(index % 2), barrier, results, events),
            daemon=True,
        )
        for index in range(processes)
    ]
    with clean_start():
        for worker in workers:
            worker.start()
    timings = [results.get(timeout=600) for _ in workers]
    for worker in workers:
        worker.kill()
    blocks = zip(*timings, strict=True)  # the processes' (plain, harness) seconds of each block
    return median(sum(1 / harness for _, harness in pairs) / sum(1 / plain for plain, _ in pairs) for pairs in blocks)


def _alternate(
    architecture: str,
    steps: int,
    plugins: tuple[Path, ...],
    harness_first: bool,
    barrier: Barrier,
    results: Any,
    events: Any,
) -> None:
    """Put the seconds of each (plain, harness) pair of blocks into ``results``; a first pair is the warm-up."""
    torch.set_num_threads(1)
    workload = make_workload(architecture, Catalog(plugins), "cpu")
    plain, trainer = PlainLoop(workload), workload.trainer()
    trainer.listen = lambda done, loss: events.put(Event(0, "progress", done / steps, f"loss {loss:.3f}"))
    block_steps = max(1, steps // BLOCKS)

    def step_and_report() -> None:
        trainer.step()
        if trainer.done % block_steps == 0:
            trainer.log()

    step_functions: dict[str, Callable[[], None]] = {"plain": plain.step, "harness": step_and_report}
    order = sorted(step_functions, reverse=not harness_first)
    timings = []
    for _ in range(BLOCKS + 1):
        seconds = {}
        for name in order:
            barrier.wait()
            seconds[name] = time_calls(step_functions[name], block_steps, "cpu")
        timings.append((seconds["plain"], seconds["harness"]))
    results.put(timings[1:])
