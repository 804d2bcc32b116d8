"""Time of each phase of a training step: data, forward, backward, optimizer, and the harness itself."""

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
    phase_seconds: dict[str, list[float]] = {phase: [] for phase in PHASES}

    @contextmanager
    def timer(phase: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        synchronize(workload.device)
        phase_seconds[phase].append(time.perf_counter() - start)

    trainer = workload.trainer(numerics=NO_CAPTURE, timer=timer)
    totals = []
    for _ in range(steps + warmup):
        start = time.perf_counter()
        trainer.step()
        synchronize(workload.device)
        totals.append(time.perf_counter() - start)
    milliseconds = {phase: median(times[warmup:]) * 1e3 for phase, times in phase_seconds.items()}
    steps_with_phases = zip(totals, *phase_seconds.values(), strict=True)
    overheads = [total - sum(phases) for total, *phases in steps_with_phases][warmup:]
    total = median(totals[warmup:])
    return Split(milliseconds, total * 1e3, median(overheads) / total)
