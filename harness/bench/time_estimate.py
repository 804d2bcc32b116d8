"""How long a plan takes: measured by taking a few real training steps of every pair at its mean training length.

On a GPU they are steps of as many models at once as will be trained.
"""

from dataclasses import dataclass
from math import ceil
from statistics import median

import torch

from harness.bench.timing import block, synchronize
from harness.bench.workload import Workload
from harness.config.cell import Cell
from harness.config.lengths import Span
from harness.data.batches import train_lengths
from harness.data.presentation import Presentation
from harness.execution.plan import Pair
from harness.models.precision import FLOAT32, Numerics
from harness.training.cuda_graphs import WARM_UP
from harness.training.memory import is_out_of_memory, release_memory

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


def pace_of(pair: Pair, device: str, numerics: Numerics = FLOAT32, models: int = 1) -> Pace:
    """Measure a step of ``models`` models at once.

    Where memory runs out, half as many are tried; where torch cannot batch the models, one is measured.
    """
    try:
        return Pace(seconds_per_step(pair, device, numerics, models), models)
    except Exception as error:
        if models == 1:
            raise
        fewer = models // 2 if is_out_of_memory(error) else 1
    release_memory(torch.device(device))
    return pace_of(pair, device, numerics, fewer)


def seconds_per_step(pair: Pair, device: str, numerics: Numerics, models: int) -> float:
    """Return the median seconds of a step at the training length nearest to the mean of all."""
    task, recipe = pair.task.task, pair.task.recipe
    presentation = Presentation.of(task, recipe)
    lengths = train_lengths(presentation.task, recipe)
    typical = min(lengths, key=lambda length: abs(length - sum(lengths) / len(lengths)))
    untimed = UNTIMED[torch.device(device).type]
    short = recipe.model_copy(update={"steps": untimed + STEPS, "train_lengths": Span(typical, typical)})
    cell = Cell(pair.architecture, task, short, 1e-3, 0)
    trainer = Workload(cell, presentation, device).trainer(models, numerics)
    for _ in range(untimed):
        trainer.step()
    synchronize(device)
    return median(block(trainer.step, 1, device) for _ in range(STEPS))
