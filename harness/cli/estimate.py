"""How long a plan takes: measured by taking a few real training steps of every pair at its mean training length.

On a GPU they are steps of as many models at once as will be trained.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil
from statistics import median

import torch

from architectures.base import SequenceModel
from harness.batches import train_lengths
from harness.bench.timing import synchronize
from harness.catalog import Catalog
from harness.cell import Cell, Group
from harness.launch.desk import out_of_memory, release
from harness.numerics import FLOAT32, Numerics
from harness.options import Spec, build_model, build_task
from harness.plan import Question
from harness.population import Population, build_seeded
from harness.present import Presentation
from harness.train import Trainer

STEPS = 3
WARM_UP = {"cpu": 1, "cuda": 3}
"""Steps before those that are timed: on a GPU the fourth is the first that is replayed."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a training step, and how many models take it at once."""

    seconds: float
    models: int

    def training(self, cells: int, steps: int) -> float:
        """Return the seconds to train cells in as many groups as they need."""
        return ceil(cells / self.models) * steps * self.seconds


def pace_of(
    spec: Spec, question: Question, catalog: Catalog, device: str, numerics: Numerics = FLOAT32, models: int = 1
) -> Pace:
    """Measure a step of so many models at once; halve them until they fit, or take one where no two go at once."""
    try:
        return Pace(seconds_per_step(spec, question, catalog, device, numerics, models), models)
    except Exception as error:
        if models == 1:
            raise
        fewer = models // 2 if out_of_memory(error) else 1
    release(torch.device(device))
    return pace_of(spec, question, catalog, device, numerics, fewer)


def seconds_per_step(
    spec: Spec, question: Question, catalog: Catalog, device: str, numerics: Numerics, models: int
) -> float:
    """Return the median seconds of a step."""
    task, recipe = build_task(question.task, catalog), question.recipe
    presentation = Presentation(task, recipe.answer, recipe.think)
    known = train_lengths(task, recipe)
    typical = min(known, key=lambda length: abs(length - sum(known) / len(known)))
    warm_up = WARM_UP[torch.device(device).type]
    short = recipe.model_copy(update={"steps": warm_up + STEPS, "train_lengths": f"{typical}:{typical}"})

    def build() -> SequenceModel:
        return build_seeded(lambda: build_model(spec, presentation.symbols, catalog), 0, str(spec))

    group = Group(tuple(Cell(spec, question.task, short, 1e-3, seed) for seed in range(models)))
    population = Population([build() for _ in range(models)], device, numerics)
    trainer = Trainer(population, group, presentation, lambda step, loss: None)
    for _ in range(warm_up):
        trainer.step()
    synchronize(device)
    return median(_timed(trainer, device))


def _timed(trainer: Trainer, device: str) -> Iterator[float]:
    for _ in range(STEPS):
        began = time.perf_counter()
        trainer.step()
        synchronize(device)
        yield time.perf_counter() - began
