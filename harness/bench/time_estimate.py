"""Estimate of the time a plan takes, from a few real training steps of every pair at its mean training length.

On a GPU each step trains as many models at once as the run will train.
"""

from dataclasses import dataclass
from math import ceil
from statistics import median

import torch

from harness.bench.timing import synchronize, time_calls
from harness.bench.workload import Workload
from harness.config.cell import Cell
from harness.config.lengths import Span
from harness.data.presentation import Presentation
from harness.data.step_lengths import train_lengths
from harness.execution.plan import Pair
from harness.models.precision import FLOAT32, Numerics
from harness.training.cuda_graphs import WARM_UP
from harness.training.memory import is_out_of_memory, release_memory

STEPS = 3
UNTIMED = {"cpu": 1, "cuda": WARM_UP}
"""Steps before the timed steps; on a GPU the timed steps are then replayed."""


@dataclass(frozen=True)
class Pace:
    """Seconds of a training step, and the number of models that it trains at once."""

    seconds: float
    models: int

    def training(self, cells: int, steps: int) -> float:
        """Return the seconds to train the cells in groups of ``models``, one group after another."""
        return ceil(cells / self.models) * steps * self.seconds


def pace_of(pair: Pair, device: str, numerics: Numerics = FLOAT32, models: int = 1) -> Pace:
    """Measure a step of ``models`` models at once.

    If memory runs out, half as many are tried. If torch cannot batch the models, one is measured.
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
    """Return the median seconds of a step at the training length nearest to the mean training length."""
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
    return median(time_calls(trainer.step, 1, device) for _ in range(STEPS))
