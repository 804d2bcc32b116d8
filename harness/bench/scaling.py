"""Growth of the cost of training with the length, the width, the size of a population, and the number of cells.

A step trains one model of the architecture's default width on 64 rows of ``reverse`` of length 20; one of these values
grows. Each point is measured in a fresh process: seconds of a step, and memory including the trainer's.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

import torch

from harness.bench.isolated import Usage, call_in_fresh_process, measure_usage
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
    """Usage of a training step at one value of an axis; on the axis ``cells``, of all steps of all cells.

    ``usage`` is ``None`` if memory ran out.
    """

    architecture: str
    axis: str
    value: int
    usage: Usage | None


def measure_growth(
    spec: str,
    plugins: Sequence[Path] = (),
    *,
    steps: int,
    device: str = "cpu",
    axes: Mapping[str, Sequence[int]] = AXES,
) -> Iterator[Point]:
    """Measure an architecture along each axis; then estimate the cost of many cells from the populations."""
    populations = {}
    for axis, values in axes.items():
        for value in values:
            usage = call_in_fresh_process(measure_steps, spec, tuple(plugins), device, steps, axis, value)
            if axis == "population" and usage is not None:
                populations[value] = usage
            yield Point(spec, axis, value, usage)
    for count in CELLS if populations else ():
        yield Point(spec, "cells", count, estimate_cells(count, populations))


def estimate_cells(count: int, populations: Mapping[int, Usage]) -> Usage:
    """Estimate cells of 1000 steps each, trained by one worker in populations of the fastest size for this count."""

    def training_seconds(size: int) -> float:
        return ceil(count / size) * populations[size].seconds * CELL_STEPS

    fastest = min(populations, key=training_seconds)
    return Usage(training_seconds(fastest), populations[fastest].bytes)


def measure_steps(spec: str, plugins: tuple[Path, ...], device: str, steps: int, axis: str, value: int) -> Usage:
    """Measure training steps of untrained models, with one axis at a value."""
    torch.set_num_threads(1)
    catalog = Catalog(plugins)
    if axis == "width":
        spec = str(with_width(Spec.parse("architecture", spec, catalog), value))
    workload = make_workload(spec, catalog, device, length=value if axis == "length" else LENGTH)

    def prepare() -> Callable[[], object]:
        trainer = workload.trainer(value if axis == "population" else 1)
        for _ in range(WARM_UP):
            trainer.step()
        return trainer.step

    return measure_usage(prepare, device, steps)


def with_width(spec: Spec, width: int) -> Spec:
    """Return an architecture with another width."""
    return spec.with_options({"width": width})
