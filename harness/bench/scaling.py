"""How the cost of training grows: with the length, the width, the models of a population, and the number of cells.

A step takes 64 rows of ``reverse``, of length 20 where that is not what grows, for one model of the architecture's own
width. Each point is measured in a fresh process: seconds of a step, and memory with all that the trainer holds.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch

from harness.bench.isolated import Spent, in_fresh_process, spend
from harness.bench.workload import LENGTH, make_workload
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from harness.training.cuda_graphs import WARM_UP

AXES: Mapping[str, Sequence[int]] = {
    "length": (10, 20, 40, 80, 160, 320),
    "width": (16, 32, 64, 128, 256),
    "population": (1, 2, 4, 8, 16),
}
CELLS, CELL_STEPS = (1, 10, 100, 1000), 1000


@dataclass(frozen=True)
class Point:
    """What a training step takes at one value of what grows; of ``cells``, all steps of all of them.

    ``spent`` is ``None`` where memory ran out.
    """

    architecture: str
    axis: str
    value: int
    spent: Spent | None


def growth(
    spec: str,
    plugins: Sequence[Path] = (),
    *,
    steps: int,
    device: str = "cpu",
    axes: Mapping[str, Sequence[int]] = AXES,
) -> Iterator[Point]:
    """Measure an architecture along each axis; then estimate what cells take, as a plan does."""
    populations = {}
    for axis, values in axes.items():
        for value in values:
            spent = in_fresh_process(take_steps, spec, tuple(plugins), device, steps, axis, value)
            if axis == "population" and spent is not None:
                populations[value] = spent
            yield Point(spec, axis, value, spent)
    for count in CELLS if populations else ():
        yield Point(spec, "cells", count, of_cells(count, populations))


def of_cells(count: int, populations: Mapping[int, Spent]) -> Spent:
    """Estimate cells of 1000 steps each, trained by one worker in whatever population is the fastest for so many."""

    def training(size: int) -> float:
        return ceil(count / size) * populations[size].seconds * CELL_STEPS

    best = min(populations, key=training)
    return Spent(training(best), populations[best].bytes)


def take_steps(spec: str, plugins: tuple[Path, ...], device: str, steps: int, axis: str, value: int) -> Spent:
    """Take training steps of a freshly built population."""
    torch.set_num_threads(1)
    catalog = Catalog(plugins)
    if axis == "width":
        spec = str(widened(Spec.parse("architecture", spec, catalog), value))
    subject = make_workload(spec, catalog, device, length=value if axis == "length" else LENGTH)

    def prepare() -> Callable[[], object]:
        trainer = subject.trainer(value if axis == "population" else 1)
        for _ in range(WARM_UP):
            trainer.step()
        return trainer.step

    return spend(prepare, device, steps)


def widened(spec: Spec, width: int) -> Spec:
    """Return an architecture with another width."""
    return spec.with_options({"width": width})
