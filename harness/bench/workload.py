"""What is measured: one architecture on one task at one length."""

from dataclasses import dataclass, replace

import torch

from architectures.base import SequenceModel
from harness.config.cell import Cell, Group
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Presentation
from harness.models.population import Population, build_seeded
from harness.models.precision import FLOAT32, Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.trainer import Timer, Trainer, untimed

TASK, LENGTH, BATCH = "reverse", 20, 64


@dataclass(frozen=True)
class Workload:
    """A cell with the means to train it in more than one way."""

    cell: Cell
    presentation: Presentation
    device: str

    def build(self) -> SequenceModel:
        """Return the model with its initial values, on the CPU."""
        return build_seeded(self.cell.architecture, self.presentation.symbols, 0)

    def trainer(self, size: int = 1, numerics: Numerics = FLOAT32, timer: Timer = untimed) -> Trainer:
        """Return the harness's trainer on a population of fresh models."""
        group = Group(tuple(replace(self.cell, seed=seed) for seed in range(size)))
        models = Population([self.build() for _ in range(size)], self.device, numerics)
        return Trainer(models, group, self.presentation, lambda step, loss: None, timer=timer)

    @property
    def tokens(self) -> int:
        """The tokens of a step at the longest length."""
        return self.cell.recipe.batch_size * self.presentation.stream_length(self.cell.recipe.train_lengths.high)

    def batches(self) -> Batches:
        """Return the training batches."""
        device = torch.device(self.device)
        return Batches(self.presentation.on(device), str(self.cell.task), self.cell.recipe, [self.cell.seed], device)


def make_workload(text: str, catalog: Catalog, device: str, steps: int = 4096, length: int = LENGTH) -> Workload:
    """Return the subject of an architecture spec: batches of 64 rows of one length, 20 by default, of ``reverse``."""
    spec, task = Spec.parse("architecture", text, catalog), Spec.parse("task", TASK, catalog)
    cell = Cell(spec, task, Recipe(steps=steps, batch_size=BATCH, train_lengths=Span(length, length)), 1e-3, 0)
    made = build_task(task)
    with torch.device("meta"):
        causal = build_model(spec, Presentation(made).symbols).causal
    presentation = Presentation(made, "generate" if causal else "readout")
    return Workload(cell, presentation, device)
