"""Cost of a long evaluation: time and memory of scoring one row that is far longer than any training length."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from harness.bench.isolated import Usage, call_in_fresh_process, measure_usage
from harness.bench.workload import TASK, make_workload
from harness.data.rng import Purpose
from harness.evaluation.scoring import fixed_set, score
from harness.models.population import Population
from harness.registry.catalog import Catalog

LENGTHS = (1_000, 10_000)
WARM_UP = 4


@dataclass(frozen=True)
class LongEvaluation:
    """The length of a source of ``reverse``, and the usage of scoring it; ``None`` if memory ran out."""

    length: int
    usage: Usage | None


def measure_long_evaluations(
    spec: str, plugins: Sequence[Path] = (), *, device: str = "cpu", lengths: Sequence[int] = LENGTHS
) -> list[LongEvaluation]:
    """Measure each length within the model's maximum length, in a fresh process."""
    workload = make_workload(spec, Catalog(tuple(plugins)), device)
    reach = workload.build().reach
    possible = [length for length in lengths if reach is None or workload.presentation.stream_length(length) <= reach]
    return [
        LongEvaluation(length, call_in_fresh_process(score_one_row, spec, tuple(plugins), device, length))
        for length in possible
    ]


def score_one_row(spec: str, plugins: tuple[Path, ...], device: str, length: int) -> Usage:
    """Score an untrained model on one row, as an evaluation does, after a short row that is not counted."""
    torch.set_num_threads(1)
    workload = make_workload(spec, Catalog(plugins), device)
    presentation, population = workload.presentation, Population([workload.build()], device)
    short_set, long_set = (
        fixed_set(presentation, TASK, Purpose.EVALUATE, width, 1, torch.device(device)) for width in (WARM_UP, length)
    )
    score(population, presentation, short_set)
    return measure_usage(lambda: lambda: score(population, presentation, long_set), device)
