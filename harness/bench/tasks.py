"""Speed of tasks: source tokens made per second on one thread, together with their targets."""

from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from harness.bench.timing import time_calls
from harness.data.rng import Purpose, Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task

LENGTH, ROWS, BLOCKS = 100, 256, 5
SECONDS = 0.05


@dataclass(frozen=True)
class TaskSpeed:
    """Millions of source tokens, and of source and target tokens together, made per second at ``length``."""

    task: str
    length: int
    source: float
    source_and_target: float


def measure_task(spec: str, catalog: Catalog) -> TaskSpeed:
    """Measure a task at length 100, or its nearest length, on 256 rows: the median over a few blocks of calls."""
    torch.set_num_threads(1)
    task = build_task(Spec.parse("task", spec, catalog))
    length = min(task.lengths[: LENGTH + 1], key=lambda candidate: abs(candidate - LENGTH))

    def make_data() -> tuple[Tensor, Tensor]:
        source = task.sample(length, Stream.of([0], spec, Purpose.BENCH, 0, ROWS, "cpu"))
        return source, task.solve(source)

    times = max(1, round(2 * SECONDS / time_calls(make_data, 2, "cpu")))
    seconds = median(time_calls(make_data, times, "cpu") / times for _ in range(BLOCKS))
    source, target = (tokens.numel() for tokens in make_data())
    return TaskSpeed(spec, length, source / seconds / 1e6, (source + target) / seconds / 1e6)
