"""The training batches of a group of cells.

By default every row of every step is a new sequence. With ``distinct`` of the recipe, rows are drawn from a fixed set
of sequences instead. The set is not stored: its members are streams of random numbers, keyed by the member's number in
place of step and row.
"""

import torch
from torch import Tensor

from harness.config.lengths import even_grid
from harness.config.recipe import Recipe
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream, fold_in, seed_keys
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
        self.set_sizes = set_sizes(self.lengths.choices, recipe.distinct) if recipe.distinct else {}

    def __call__(self, step: int) -> Batch:
        """Return the batch of a step: ``R x B`` rows, the rows of one model after another."""
        return self.draw(step, self.lengths[step])

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the batch of a step. ``step`` may be a device tensor, so that a CUDA graph can advance it."""
        return self.presentation(self.presentation.task.sample(length, self.stream(step, length)))

    def stream(self, step: int | Tensor, length: int) -> Stream:
        """Return the random numbers of the questions of a step."""
        stream = Stream.from_keys(self.keys, step, self.rows)
        return self._members(stream, length) if self.set_sizes else stream

    def _members(self, stream: Stream, length: int) -> Stream:
        """Return the streams of random members of the fixed set of a length, one for each row of ``stream``."""
        member = stream.integers(self.set_sizes[length], 1)[:, 0]
        keys = fold_in(self.keys, -1 - length)  # no step has such a number
        return Stream(fold_in(keys.repeat_interleave(self.rows), member))


def set_sizes(lengths: list[int], distinct: int) -> dict[int, int]:
    """Return the number of sequences of each training length, which differ by at most one; longer lengths have more."""
    share, rest = divmod(distinct, len(lengths))
    return {length: share + (index >= len(lengths) - rest) for index, length in enumerate(lengths)}


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
