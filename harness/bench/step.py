"""Where a training step's time goes: data, forward, backward, optimizer, and the harness itself."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import Any

from harness.bench.timing import synchronize
from harness.bench.workload import Subject
from harness.models.precision import LAUNCHED

PHASES = ("data", "forward", "backward", "optimizer")


@dataclass(frozen=True)
class Split:
    """Median milliseconds of each phase and of the whole step; ``overhead`` is the share that is in no phase."""

    milliseconds: dict[str, float]
    step: float
    overhead: float


def split_step(subject: Subject, steps: int, warmup: int = 3) -> Split:
    """Time the phases inside the real trainer, by wrapping what it calls."""
    trainer = subject.trainer(numerics=LAUNCHED)
    spent: dict[str, list[float]] = {phase: [] for phase in PHASES}
    trainer.data.draw = _timed(trainer.data.draw, spent["data"], subject.device)  # type: ignore[method-assign]
    population, optimizer = trainer.population, trainer.optimizer
    population.losses = _timed(population.losses, spent["forward"], subject.device)  # type: ignore[method-assign]
    population.backward = _timed(population.backward, spent["backward"], subject.device)  # type: ignore[method-assign]
    optimizer.step = _timed(optimizer.step, spent["optimizer"], subject.device)  # type: ignore[method-assign]
    whole: list[float] = []
    step = _timed(trainer.step, whole, subject.device)
    for _ in range(steps + warmup):
        step()
    phases = {phase: median(times[warmup:]) * 1e3 for phase, times in spent.items()}
    rest = [total - sum(parts) for total, *parts in zip(whole, *spent.values(), strict=True)][warmup:]
    return Split(phases, median(whole[warmup:]) * 1e3, median(rest) / median(whole[warmup:]))


def _timed(call: Callable[..., Any], seconds: list[float], device: str) -> Callable[..., Any]:
    def timed(*arguments: Any) -> Any:
        began = time.perf_counter()
        result = call(*arguments)
        synchronize(device)
        seconds.append(time.perf_counter() - began)
        return result

    return timed
