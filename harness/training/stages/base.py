"""What all kinds of stages share: the models and the task, the batch of a step, its loss, and the state to resume."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import torch
from torch import Tensor

from harness.config.cell import Group
from harness.config.recipe import Recipe
from harness.config.stages import Part, Stage
from harness.data.batches import Batches
from harness.data.presentation import Batch, Presentation
from harness.models.population import Population
from harness.models.tensors import as_real
from harness.training.custom import factors, loss_of

S = TypeVar("S", bound=Stage)


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


class StageTrainer(Generic[S]):
    """One stage of a training.

    The trainer calls :meth:`prepare` before each step of the stage, then :meth:`draw`, then :meth:`losses`. Batches
    depend on seeds, task and step, as those of all trainings do; steps are counted from the beginning of the pipeline,
    so two stages never draw the same questions.

    Args:
        setting: the models and their task.
        part: the settings of the stage, and its steps.

    Attributes:
        mask: 1 for the parameters that change and 0 for others, float ``[P]``; ``None`` if all change.
    """

    def __init__(self, setting: Setting, part: Part, stage: S) -> None:
        self.setting, self.part, self.stage = setting, part, stage
        self.population, self.presentation, self.recipe = setting.population, setting.presentation, setting.recipe
        self.loss = loss_of(self.recipe)
        self.mask = changed_parameters(self.population, stage.train)

    def prepare(self, step: int) -> None:
        """Get ready for a step, counted from the beginning of the pipeline."""

    def length(self, step: int) -> int:
        """Return the length of the questions of a step."""
        return self.setting.batches.lengths[step]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step: ``R x B`` rows, those of one model after another."""
        return self.setting.batches.draw(step, length)

    def losses(self, batch: Batch) -> Tensor:
        """Return the loss of each model on the batch that :meth:`draw` has returned last, float ``[R]``."""
        return self.population.losses(batch, self.loss)

    def questions(self, batch: Batch) -> Tensor:
        """Return the questions of a batch as the task asks them, long ``[R * B, S]``."""
        return batch.source

    def rate_factors(self) -> list[float]:
        """Return the learning rate of each step of the stage as a fraction of the cell's."""
        warmup = min(self.recipe.warmup, self.part.steps // 5)
        recipe = self.recipe.model_copy(update={"steps": self.part.steps, "warmup": warmup})
        return [self.stage.rate * factor for factor in factors(recipe)]

    def checkpoints(self) -> set[int]:
        """Return the steps whose weights are kept and evaluated; the last step of the stage is one."""
        return {self.part.last}

    def state(self) -> dict[str, Tensor]:
        """Return what the stage has made so far and needs to resume, by name; one row for each model."""
        return {}

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""


def changed_parameters(population: Population, train: str) -> Tensor | None:
    """Return the mask of the parameters that a stage changes, float ``[P]``; ``None`` for all of them."""
    if train == "all":
        return None
    row = torch.zeros_like(population.values[0].detach())
    views = population.layout.unpack(row)
    for name in trained_names(list(views), train):
        as_real(views[name]).fill_(1.0)
    return row


def trained_names(names: Sequence[str], train: str) -> list[str]:
    """Return the parameters that a stage trains: of the output layer and its norm, or also of the last layer.

    They are found by their names in the language model, ``layers.N``, ``norm`` and ``head``. There are none of them in
    a model that has no such parts.
    """
    layers = [int(name.split(".")[1]) for name in names if name.startswith("layers.")]
    last = (f"layers.{max(layers)}.",) if layers and train == "last" else ()
    return [name for name in names if name.startswith(("head.", "norm.", *last))]
