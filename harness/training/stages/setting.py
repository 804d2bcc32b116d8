"""What a stage works with."""

from dataclasses import dataclass

import torch

from harness.config.cell import Group
from harness.config.recipe import Recipe
from harness.data.batches import Batches
from harness.data.presentation import Presentation
from harness.models.population import Population


@dataclass(frozen=True)
class Setting:
    """What a stage works with: the models, their cells, and how the task is asked on their device."""

    population: Population
    group: Group
    presentation: Presentation
    batches: Batches

    @property
    def recipe(self) -> Recipe:
        """The recipe of the cells."""
        return self.group.first.recipe

    @property
    def key(self) -> str:
        """The text of the task, which keys its random numbers."""
        return str(self.group.first.task)

    @property
    def seeds(self) -> list[int]:
        """The seed of each model."""
        return [cell.seed for cell in self.group.cells]

    @property
    def device(self) -> torch.device:
        """The device of the models."""
        return self.population.values.device
