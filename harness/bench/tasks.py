"""How fast tasks make their data: source tokens a second on one thread, questions and answers together."""

from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from harness.bench.timing import block
from harness.data.rng import Purpose, Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task

LENGTH, ROWS, BLOCKS = 100, 256, 5
SECONDS = 0.05


@dataclass(frozen=True)
class TaskSpeed:
    """Millions of source tokens, and of source and answer tokens together, made a second at ``length``."""

    task: str
    length: int
    source: float
    whole: float


def task_speed(spec: str, catalog: Catalog) -> TaskSpeed:
    """Measure a task at length 100 (or the nearest it has), 256 rows: the median over a few blocks."""
    torch.set_num_threads(1)
    task = build_task(Spec.parse("task", spec, catalog))
    length = min(task.lengths[: LENGTH + 1], key=lambda each: abs(each - LENGTH))

    def make() -> tuple[Tensor, Tensor]:
        source = task.sample(length, Stream.of([0], spec, Purpose.BENCH, 0, ROWS, "cpu"))
        return source, task.solve(source)

    times = max(1, round(2 * SECONDS / block(make, 2, "cpu")))
    seconds = median(block(make, times, "cpu") / times for _ in range(BLOCKS))
    source, target = (each.numel() for each in make())
    return TaskSpeed(spec, length, source / seconds / 1e6, (source + target) / seconds / 1e6)
