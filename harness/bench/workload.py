"""The workload of a benchmark: one architecture on one task at one length."""

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
from harness.models.shape_only import shape_only
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.trainer import Timer, Trainer, untimed

TASK, LENGTH, BATCH = "reverse", 20, 64


@dataclass(frozen=True)
class Workload:
    """A cell, and what a benchmark needs to train it in more than one way."""

    cell: Cell
    presentation: Presentation
    device: str

    def build(self) -> SequenceModel:
        """Return the model with its initial values, on the CPU."""
        return build_seeded(self.cell.architecture, self.presentation.symbols, 0)

    def trainer(self, size: int = 1, numerics: Numerics = FLOAT32, timer: Timer = untimed) -> Trainer:
        """Return the harness's trainer of a population of untrained models."""
        group = Group(tuple(replace(self.cell, seed=seed) for seed in range(size)))
        models = Population([self.build() for _ in range(size)], self.device, numerics)
        return Trainer(models, group, self.presentation, lambda step, loss: None, timer=timer)

    @property
    def tokens(self) -> int:
        """The number of tokens in a step at the longest training length."""
        return self.cell.recipe.batch_size * self.presentation.stream_length(self.cell.recipe.train_lengths.high)

    def batches(self) -> Batches:
        """Return the training batches."""
        device = torch.device(self.device)
        return Batches(self.presentation.on(device), str(self.cell.task), self.cell.recipe, [self.cell.seed], device)


def make_workload(text: str, catalog: Catalog, device: str, steps: int = 4096, length: int = LENGTH) -> Workload:
    """Return the workload of an architecture spec: batches of 64 rows of ``reverse``, all of one length."""
    spec, task_spec = Spec.parse("architecture", text, catalog), Spec.parse("task", TASK, catalog)
    recipe = Recipe(steps=steps, batch_size=BATCH, train_lengths=Span(length, length))
    task = build_task(task_spec)
    with shape_only():
        causal = build_model(spec, Presentation(task).symbols).causal
    presentation = Presentation(task, "generate" if causal else "readout")
    return Workload(Cell(spec, task_spec, recipe, 1e-3, 0), presentation, device)
