"""The training batches of a group: what is asked at every step, the same alone or in a population."""

import torch
from torch import Tensor

from harness.config.recipe import Recipe
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from tasks.base import Task


class Batches:
    """The training batches of a group: step -> presented rows, the same alone or in a population."""

    def __init__(
        self, presentation: Presentation, key: str, recipe: Recipe, seeds: list[int], device: torch.device
    ) -> None:
        self.presentation, self.rows = presentation, recipe.batch_size
        self.keys = seed_keys(seeds, key, Purpose.TRAIN, device)
        self.lengths = step_lengths(presentation.task, key, recipe)

    def __call__(self, step: int) -> Batch:
        """Return the ``R x B`` rows of a step."""
        return self.draw(step, self.lengths[step])

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the rows of a step whose number the device alone need know; its length shapes them."""
        stream = Stream.from_keys(self.keys, step, self.rows)
        return self.presentation(self.presentation.task.sample(length, stream))


def train_lengths(task: Task, recipe: Recipe) -> list[int]:
    """Return the lengths the task has within the recipe's span."""
    span = recipe.train_lengths
    return [length for length in range(span.low, span.high + 1) if length in task.lengths]


def step_lengths(task: Task, key: str, recipe: Recipe) -> list[int]:
    """Return the length of every step, uniform over the training lengths."""
    choices = train_lengths(task, recipe)
    stream = Stream.of([0], f"{key} {recipe.train_lengths}", Purpose.LENGTH, 0, 1, "cpu")
    return [choices[i] for i in stream.integers(len(choices), recipe.steps)[0].tolist()]
