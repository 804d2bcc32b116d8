"""Where a training step's time goes: data, forward, backward, optimizer, and the harness itself."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median

from harness.bench.timing import synchronize
from harness.bench.workload import Workload
from harness.models.precision import NO_CAPTURE

PHASES = ("data", "forward", "backward", "optimizer")


@dataclass(frozen=True)
class Split:
    """Median milliseconds of each phase and of the whole step; ``overhead`` is the share that is in no phase."""

    milliseconds: dict[str, float]
    step: float
    overhead: float


def split_step(workload: Workload, steps: int, warmup: int = 3) -> Split:
    """Time the phases of the harness's own training steps."""
    seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    @contextmanager
    def timer(phase: str) -> Iterator[None]:
        began = time.perf_counter()
        yield
        synchronize(workload.device)
        seconds[phase].append(time.perf_counter() - began)

    trainer = workload.trainer(numerics=NO_CAPTURE, timer=timer)
    totals = []
    for _ in range(steps + warmup):
        began = time.perf_counter()
        trainer.step()
        synchronize(workload.device)
        totals.append(time.perf_counter() - began)
    phases = {phase: median(times[warmup:]) * 1e3 for phase, times in seconds.items()}
    rest = [total - sum(parts) for total, *parts in zip(totals, *seconds.values(), strict=True)][warmup:]
    return Split(phases, median(totals[warmup:]) * 1e3, median(rest) / median(totals[warmup:]))
