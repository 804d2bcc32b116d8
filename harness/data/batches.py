"""The training batches of a group of cells."""

import torch
from torch import Tensor

from harness.config.recipe import Recipe
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from tasks.base import Task


class Batches:
    """The batch of each training step. A model gets the same rows alone and in a population."""

    def __init__(
        self, presentation: Presentation, key: str, recipe: Recipe, seeds: list[int], device: torch.device
    ) -> None:
        self.presentation, self.rows = presentation, recipe.batch_size
        self.keys = seed_keys(seeds, key, Purpose.TRAIN, device)
        self.lengths = step_lengths(presentation.task, key, recipe)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step: ``R x B`` rows, the rows of one model after another."""
        return self.draw(step, self.lengths[step])

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step. ``step`` may be a device tensor, so that a CUDA graph can advance it."""
        stream = Stream.from_keys(self.keys, step, self.rows)
        return self.presentation(self.presentation.task.sample(length, stream))


def train_lengths(task: Task, recipe: Recipe) -> list[int]:
    """Return the training lengths of the recipe that the task has."""
    span = recipe.train_lengths
    return [length for length in range(span.low, span.high + 1) if length in task.lengths]


def step_lengths(task: Task, key: str, recipe: Recipe) -> list[int]:
    """Return the length of each step, drawn uniformly from the training lengths."""
    choices = train_lengths(task, recipe)
    stream = Stream.of([0], f"{key} {recipe.train_lengths}", Purpose.LENGTH, 0, 1, "cpu")
    return [choices[i] for i in stream.integers(len(choices), recipe.steps)[0].tolist()]
