"""Estimate of the time a plan takes, from a few real training steps of every pair, and from scoring questions once.

On a GPU each step trains as many models at once as the run will train. A step at the mean training length stands for
all steps of a stage. What a stage prepares, such as a trained teacher, is prepared once. The time to score a set of
questions is taken as proportional to the number of their symbols.
"""

from dataclasses import dataclass
from math import ceil
from statistics import median
from typing import Any

import torch

from harness.bench.timing import time_calls
from harness.bench.workload import Workload
from harness.config.cell import Cell
from harness.config.lengths import Span
from harness.data.presentation import Presentation
from harness.data.rng import Purpose
from harness.data.step_lengths import train_lengths
from harness.evaluation.scoring import fixed_set, score
from harness.execution.plan import Pair, PlannedTask
from harness.models.precision import FLOAT32, Numerics
from harness.registry.options import build_task
from harness.training.cuda_graphs import WARM_UP
from harness.training.memory import is_out_of_memory, release_memory
from harness.training.stages.base import StageTrainer
from harness.training.trainer import Trainer
from harness.training.validation import ROWS as VALIDATION_ROWS
from harness.training.validation import validation_lengths

STEPS = 3
LEAST_STEPS = 100
"""The fewest steps of the recipe that is measured, so that each stage has steps to measure."""
SCORED_ROWS = 64
UNTIMED = {"cpu": 1, "cuda": WARM_UP}
"""Steps before the timed steps; on a GPU the timed steps are then replayed."""


@dataclass(frozen=True)
class Pace:
    """Mean seconds of a training step, the number of models that it trains at once, and seconds to score a symbol."""

    seconds: float
    models: int
    scoring: float = 0.0

    def total(self, cells: int, steps: int, symbols: int = 0) -> float:
        """Return the seconds to train the cells in groups of ``models`` and to score ``symbols`` of each model."""
        return ceil(cells / self.models) * (steps * self.seconds + symbols * self.scoring)


def scored_symbols(task: PlannedTask, samples: int) -> int:
    """Return the symbols of all questions on which one cell of a task is validated and evaluated."""
    recipe, lengths = task.recipe, train_lengths(build_task(task.task), task.recipe)
    validated = VALIDATION_ROWS * sum(validation_lengths(lengths)) * recipe.validations
    evaluated = sum(samples * length for variant in task.variants for length in variant.lengths)
    return validated + evaluated * recipe.checkpoints


def pace_of(pair: Pair, device: str, numerics: Numerics = FLOAT32, models: int = 1) -> Pace:
    """Measure a step of ``models`` models at once.

    If memory runs out, half as many are tried. If torch cannot batch the models, one is measured.
    """
    try:
        return Pace(*_seconds(pair, device, numerics, models))
    except Exception as error:
        if models == 1:
            raise
        fewer = models // 2 if is_out_of_memory(error) else 1
    release_memory(torch.device(device))
    return pace_of(pair, device, numerics, fewer)


def _seconds(pair: Pair, device: str, numerics: Numerics, models: int) -> tuple[float, int, float]:
    """Return the mean seconds of a step at the mean training length, the models, and seconds to score a symbol."""
    task, recipe = pair.task.task, pair.task.recipe
    presentation = Presentation.of(task, recipe)
    lengths = train_lengths(presentation.task, recipe)
    typical = min(lengths, key=lambda length: abs(length - sum(lengths) / len(lengths)))
    changed = {"steps": max(LEAST_STEPS, recipe.steps), "train_lengths": Span(typical, typical)}
    cell = Cell(pair.architecture, task, recipe.model_copy(update=changed), 1e-3, 0)
    trainer = Workload(cell, presentation, device).trainer(models, numerics)
    stages = [_seconds_of_stage(trainer, stage, device) for stage in trainer.pipeline.stages]
    questions = fixed_set(trainer.presentation, str(task), Purpose.BENCH, lengths[-1], SCORED_ROWS, trainer.device)
    scoring = time_calls(lambda: score(trainer.population, trainer.presentation, questions), 1, device)
    return sum(stages) / trainer.recipe.steps, models, scoring / questions.numel()


def _seconds_of_stage(trainer: Trainer, stage: StageTrainer[Any], device: str) -> float:
    """Return the seconds of all steps of a stage.

    What it prepares in its first step is counted once for each of its checkpoints, which are the ends of its rounds.
    """
    trainer.done = stage.part.first
    trainer.step_index.fill_(stage.part.first)
    first = time_calls(trainer.step, 1, device)
    for _ in range(UNTIMED[torch.device(device).type] - 1):
        trainer.step()
    step = median(time_calls(trainer.step, 1, device) for _ in range(STEPS))
    return stage.part.steps * step + len(stage.checkpoints()) * max(0.0, first - step)
