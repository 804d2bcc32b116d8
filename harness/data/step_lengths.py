"""The source length of each training step, which all models of a population share.

By default the length is uniform over the training lengths. With ``length_ratio`` r of the recipe, length n has a
probability proportional to r^n: r < 1 prefers short questions, r > 1 long ones. Deletang et al. (2023, "Neural Networks
and the Chomsky Hierarchy") provide this as the reverse exponential curriculum; r is ``tau`` in their code.

The longest length in use can grow in two ways (``length_growth``): ``steps``, evenly over the first half of training;
``mastery``, by one length each time that the model answers nearly all questions of the longest length in use. A share
of the steps can draw from all training lengths nevertheless (``full_range_share``), so that long questions are never
absent. The ratio holds among the lengths in use.
"""

from bisect import bisect_right
from itertools import accumulate
from math import ceil

from harness.config.recipe import Recipe
from harness.data.rng import Purpose, Stream
from tasks.base import Task

GROWTH = 0.5
"""Share of the steps after which all training lengths are in use, with growth by steps."""

DRAWS = 2**31
"""Number of equally likely values of a draw."""


def train_lengths(task: Task, recipe: Recipe) -> list[int]:
    """Return the training lengths of the recipe that the task has."""
    span = recipe.train_lengths
    return [length for length in range(span.low, span.high + 1) if length in task.lengths]


def _weights(lengths: list[int], ratio: float) -> list[float]:
    """Return ``ratio ** length`` for each length, scaled so that the greatest is 1 and none overflows."""
    likeliest = lengths[0] if ratio < 1 else lengths[-1]
    return [ratio ** (length - likeliest) for length in lengths]


class StepLengths:
    """The length of each step.

    Attributes:
        choices: the training lengths.
        in_use: with growth by mastery, how many of them are in use, from the shortest.
    """

    def __init__(self, task: Task, key: str, recipe: Recipe) -> None:
        self.choices, self.recipe = train_lengths(task, recipe), recipe
        stream = Stream.of([0], f"{key} {recipe.train_lengths}", Purpose.LENGTH, 0, 1, "cpu")
        self.bounds = list(accumulate(_weights(self.choices, recipe.length_ratio)))
        self.draws: list[int] = stream.bits(recipe.steps)[0].tolist()
        self.full_range: list[bool] = (stream.uniform(recipe.steps)[0] < recipe.full_range_share).tolist()
        self.in_use = 1

    def __getitem__(self, step: int) -> int:
        """Return the length of a step, counted from 0; with growth by mastery, as long as ``in_use`` stays the same."""
        count = len(self.choices) if self.full_range[step] else self._count(step)
        # With equal weights the product is exact, and the index is draw * count >> 31.
        index = bisect_right(self.bounds, self.draws[step] * self.bounds[count - 1] / DRAWS, 0, count)
        return self.choices[min(index, count - 1)]  # if all weights in use round to zero, the longest

    def _count(self, step: int) -> int:
        """Return how many of the training lengths are in use at a step."""
        every = len(self.choices)
        if self.recipe.length_growth == "steps":
            return min(every, ceil(every * (step + 1) / max(1, GROWTH * self.recipe.steps)))
        return self.in_use if self.recipe.length_growth == "mastery" else every

    @property
    def can_grow(self) -> bool:
        """Whether mastery of the longest length in use would add another."""
        return self.recipe.length_growth == "mastery" and self.in_use < len(self.choices)

    @property
    def longest_in_use(self) -> int:
        """The longest length in use, with growth by mastery."""
        return self.choices[self.in_use - 1]
