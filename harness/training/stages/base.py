"""What all kinds of stages share: the models and the task, the batch of a step, its loss, and the state to resume."""

from collections.abc import Sequence
from typing import Generic, TypeVar

import torch
from torch import Tensor

from harness.config.stages import Part, Stage
from harness.data.presentation import Batch
from harness.models.population import Population
from harness.models.tensors import as_real
from harness.training.custom import factors, loss_of
from harness.training.optimizer import PopulationOptimizer
from harness.training.stages.low_rank import IN_LAYERS, LowRank
from harness.training.stages.setting import Setting

S = TypeVar("S", bound=Stage)

OF_UPDATES = "low rank: "
"""Begins the names of the rows of a snapshot that belong to low-rank updates."""


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
        low_rank: the low-rank updates that are trained in place of the parameters, if they are.
    """

    def __init__(self, setting: Setting, part: Part, stage: S) -> None:
        self.setting, self.part, self.stage = setting, part, stage
        self.population, self.presentation, self.recipe = setting.population, setting.presentation, setting.recipe
        self.loss = loss_of(self.recipe)
        self.mask = changed_parameters(self.population, stage.train)
        self.low_rank = LowRank(setting, stage.rank) if stage.train == "lora" else None

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

    def update(self, optimizer: PopulationOptimizer, factor: Tensor, batch: Batch) -> None:
        """Change the parameters by their gradients, at ``factor`` ``[R, 1]`` times the peak learning rates."""
        if self.low_rank:
            self.low_rank.update(optimizer, factor)
            return
        if self.mask is not None:
            self.population.grads.mul_(self.mask)
        optimizer.step(factor, batch)

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

    def snapshot(self) -> dict[str, Tensor]:
        """Return the state, and the low-rank updates if there are any."""
        updates = self.low_rank.state() if self.low_rank else {}
        return self.state() | {OF_UPDATES + name: row for name, row in updates.items()}

    def load_snapshot(self, stored: dict[str, Tensor]) -> None:
        """Take over what :meth:`snapshot` returned."""
        if self.low_rank and stored:
            self.low_rank.load_state({n.removeprefix(OF_UPDATES): x for n, x in stored.items() if OF_UPDATES in n})
        self.load_state({name: row for name, row in stored.items() if OF_UPDATES not in name})


def changed_parameters(population: Population, train: str) -> Tensor | None:
    """Return the mask of the parameters that a stage changes, float ``[P]``; ``None`` for all of them."""
    if train in ("all", "lora"):
        return None
    row = torch.zeros_like(population.values[0].detach())
    views = population.layout.unpack(row)
    for name in trained_names(list(views), train):
        as_real(views[name]).fill_(1.0)
    return row


def trained_names(names: Sequence[str], train: str) -> list[str]:
    """Return the parameters that a stage trains: of the output layer and its norm, or also of the last layer.

    They are found by their names in the language model, ``layers.N``, ``norm`` and ``head``. There are none of them in
    a model that has no such parts. Of ``lora`` they are those of all layers.
    """
    if train == "lora":
        return [name for name in names if name.startswith(IN_LAYERS)]
    layers = [int(name.split(".")[1]) for name in names if name.startswith("layers.")]
    last = (f"layers.{max(layers)}.",) if layers and train == "last" else ()
    return [name for name in names if name.startswith(("head.", "norm.", *last))]
