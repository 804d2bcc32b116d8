"""Supervised learning: right answers, or next-token prediction of question and answer, of this task or of another."""

import torch
from torch import Tensor

from harness.config.stages import Part, Supervised
from harness.data.batches import Batches
from harness.data.presentation import Batch, Presentation
from harness.registry.options import Spec, build_task
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting


class SupervisedTrainer(StageTrainer[Supervised]):
    """Right answers to new questions in each step.

    Attributes:
        source_length: tokens of a question of the last batch.
    """

    source_length = 0

    def __init__(self, setting: Setting, part: Part, stage: Supervised) -> None:
        super().__init__(setting, part, stage)
        self.batches = setting.batches
        if stage.task or stage.lengths:
            self.batches = other_batches(setting, stage)

    def length(self, step: int) -> int:
        """Return the length of the questions of a step."""
        return self.batches.lengths[step]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step: ``R x B`` rows, those of one model after another."""
        batch = self.batches.draw(step, length)
        if self.stage.predict == "answer":
            return batch
        self.source_length = batch.source.shape[1]
        return as_sequence(batch)

    def questions(self, batch: Batch) -> Tensor:
        """Return the questions of a batch, long ``[R * B, S]``."""
        if self.stage.predict == "answer" or batch.prefix is None:
            return batch.source
        return torch.cat((batch.source, batch.prefix), dim=1)[:, : self.source_length]


def other_batches(setting: Setting, stage: Supervised) -> Batches:
    """Return the batches of a stage with another task, or with fewer lengths."""
    recipe, presentation, key = setting.recipe, setting.presentation, setting.key
    if stage.lengths:
        recipe = recipe.model_copy(update={"train_lengths": stage.lengths})
    if stage.task:
        spec = Spec.parse("task", stage.task, setting.group.first.task.catalog)
        presentation, key = other_presentation(setting.presentation, spec).on(setting.device), str(spec)
    return Batches(presentation, key, recipe, setting.seeds, setting.device)


def other_presentation(presentation: Presentation, task: Spec) -> Presentation:
    """Return how another task is asked of a model that was built for ``presentation``."""
    return Presentation(build_task(task), presentation.mode, presentation.think, presentation.begin)


def as_sequence(batch: Batch) -> Batch:
    """Return a batch that asks for every token after the first one, in the order in which the model sees them.

    The first token of the question is the source, and the rest of the question is the beginning of the prefix.
    """
    assert batch.prefix is not None
    stream = torch.cat((batch.source, batch.prefix), dim=1)
    following = stream[:, 2 : batch.source.shape[1] + 1]
    return Batch(stream[:, :1], stream[:, 1:], torch.cat((following, batch.target), dim=1))
