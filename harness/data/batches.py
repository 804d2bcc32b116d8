"""The training batches of a group of cells."""

import torch
from torch import Tensor

from harness.config.lengths import even_grid
from harness.config.recipe import Recipe
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from harness.data.step_lengths import StepLengths, train_lengths
from tasks.base import IGNORE

PROBED_LENGTHS, PROBED_ROWS = 32, (32, 1024)
"""Whether a task asks anything is tested at 32 training lengths, on 32 rows and then on 1,024."""


class Batches:
    """The batch of each training step. A model gets the same rows alone and in a population."""

    def __init__(
        self, presentation: Presentation, key: str, recipe: Recipe, seeds: list[int], device: torch.device
    ) -> None:
        self.presentation, self.rows = presentation, recipe.batch_size
        self.keys = seed_keys(seeds, key, Purpose.TRAIN, device)
        self.lengths = StepLengths(presentation.task, key, recipe)

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step: ``R x B`` rows, the rows of one model after another."""
        return self.draw(step, self.lengths[step])

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step. ``step`` may be a device tensor, so that a CUDA graph can advance it."""
        stream = Stream.from_keys(self.keys, step, self.rows)
        return self.presentation(self.presentation.task.sample(length, stream))


def unasked_shares(presentation: Presentation, key: str, recipe: Recipe) -> dict[int, float]:
    """Return the share of sampled rows in which nothing is asked, for each of a few training lengths.

    Nothing is asked in a row whose target is ``IGNORE`` everywhere. More rows are sampled before a share is 1.
    """
    choices, shares = train_lengths(presentation.task, recipe), {}
    for length in (choices[index] for index in even_grid(0, len(choices) - 1, PROBED_LENGTHS)):
        for rows in PROBED_ROWS:
            stream = Stream.of([0], key, Purpose.PROBE, length, rows, "cpu")
            target = presentation(presentation.task.sample(length, stream)).target
            shares[length] = float((target == IGNORE).all(1).double().mean())
            if shares[length] < 1:
                break
    return shares
