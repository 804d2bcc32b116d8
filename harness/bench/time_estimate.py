"""How long a plan takes: measured by taking a few real training steps of every pair at its mean training length.

On a GPU they are steps of as many models at once as will be trained.
"""

from dataclasses import dataclass
from math import ceil
from statistics import median

import torch

from architectures.base import SequenceModel
from harness.bench.timing import block, synchronize
from harness.bench.workload import Subject
from harness.config.cell import Cell
from harness.data.batches import train_lengths
from harness.data.presentation import Presentation
from harness.execution.plan import Question
from harness.models.population import build_seeded
from harness.models.precision import FLOAT32, Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.cuda_graphs import WARM_UP
from harness.training.memory import out_of_memory, release

STEPS = 3
UNTIMED = {"cpu": 1, "cuda": WARM_UP}
"""Steps before those that are timed: on a GPU these are replayed."""


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
    untimed = UNTIMED[torch.device(device).type]
    short = recipe.model_copy(update={"steps": untimed + STEPS, "train_lengths": f"{typical}:{typical}"})

    def build() -> SequenceModel:
        return build_seeded(lambda: build_model(spec, presentation.symbols, catalog), 0, str(spec))

    cell = Cell(spec, question.task, short, 1e-3, 0)
    trainer = Subject(cell, presentation, build, device).trainer(models, numerics)
    for _ in range(untimed):
        trainer.step()
    synchronize(device)
    return median(block(trainer.step, 1, device) for _ in range(STEPS))
