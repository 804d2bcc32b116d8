"""What is measured: one architecture on one task at one length."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch

from architectures.base import SequenceModel
from harness.config.cell import Cell, Group
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.models.population import Population, build_seeded
from harness.models.precision import FLOAT32, Numerics
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task
from harness.training.trainer import Data, Trainer

TASK, LENGTH, BATCH = "reverse", 20, 64


@dataclass(frozen=True)
class Subject:
    """A cell with the means to train it in more than one way."""

    cell: Cell
    presentation: Presentation
    build: Callable[[], SequenceModel]
    device: str

    def trainer(self, size: int = 1, numerics: Numerics = FLOAT32) -> Trainer:
        """Return the harness's trainer on a population of fresh models."""
        group = Group(tuple(replace(self.cell, seed=seed) for seed in range(size)))
        models = Population([self.build() for _ in range(size)], self.device, numerics)
        return Trainer(models, group, self.presentation, lambda step, loss: None)

    @property
    def tokens(self) -> int:
        """The tokens of a step at the longest length."""
        return self.cell.recipe.batch_size * self.presentation.stream_length(self.cell.recipe.span[1])

    def data(self) -> Data:
        """Return the training batches."""
        device = torch.device(self.device)
        return Data(self.presentation.on(device), str(self.cell.task), self.cell.recipe, [self.cell.seed], device)


def make_subject(text: str, catalog: Catalog, device: str, steps: int = 4096, length: int = LENGTH) -> Subject:
    """Return the subject of an architecture spec: batches of 64 rows of one length, 20 by default, of ``reverse``."""
    spec, task = Spec.parse("architecture", text, catalog), Spec.parse("task", TASK, catalog)
    cell = Cell(spec, task, Recipe(steps=steps, batch_size=BATCH, train_lengths=f"{length}:{length}"), 1e-3, 0)
    made = build_task(task, catalog)
    with torch.device("meta"):
        causal = build_model(spec, Presentation(made).symbols, catalog).causal
    presentation = Presentation(made, "generate" if causal else "readout")

    def build() -> SequenceModel:
        return build_seeded(lambda: build_model(spec, presentation.symbols, catalog), 0, str(spec))

    return Subject(cell, presentation, build, device)
