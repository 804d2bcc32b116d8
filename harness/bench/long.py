"""What a long evaluation costs: time and memory of scoring one row, far beyond any training length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.bench.isolated import Spent, in_fresh_process, spend
from harness.bench.workload import TASK, make_workload
from harness.data.rng import Purpose
from harness.evaluation.scoring import fixed_set, score
from harness.models.population import Population
from harness.registry.catalog import Catalog

LENGTHS = (1_000, 10_000)
WARM_UP = 4


@dataclass(frozen=True)
class Long:
    """Scoring one row of ``reverse``: the length of its source; ``spent`` is ``None`` where memory ran out."""

    length: int
    spent: Spent | None


def long_costs(
    spec: str, plugins: Sequence[Path] = (), *, device: str = "cpu", lengths: Sequence[int] = LENGTHS
) -> list[Long]:
    """Measure the lengths within a model's reach, each in a fresh process."""
    subject = make_workload(spec, Catalog(tuple(plugins)), device)
    reach = subject.build().reach
    within = [length for length in lengths if reach is None or subject.presentation.stream_length(length) <= reach]
    return [Long(each, in_fresh_process(score_one_row, spec, tuple(plugins), device, each)) for each in within]


def score_one_row(spec: str, plugins: tuple[Path, ...], device: str, length: int) -> Spent:
    """Score a freshly built model on one row, as an evaluation does; a short row comes first and is not counted."""
    torch.set_num_threads(1)
    subject = make_workload(spec, Catalog(plugins), device)
    population = Population([subject.build()], device)
    short, long = (
        fixed_set(subject.presentation, TASK, Purpose.EVALUATE, each, 1, torch.device(device))
        for each in (WARM_UP, length)
    )
    score(population, subject.presentation, short)
    return spend(lambda: lambda: score(population, subject.presentation, long), device)
