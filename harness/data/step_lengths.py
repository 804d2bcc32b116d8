"""The source length of each training step, which all models of a population share.

By default the length is uniform over the training lengths. The longest length in use can grow in two ways
(``length_growth`` of the recipe): ``steps``, evenly over the first half of training; ``mastery``, by one length each
time that the model answers nearly all questions of the longest length in use. A share of the steps can draw from all
training lengths nevertheless (``full_range_share``), so that long questions are never absent.
"""

from math import ceil

from harness.config.recipe import Recipe
from harness.data.rng import Purpose, Stream
from tasks.base import Task

GROWTH = 0.5
"""Share of the steps after which all training lengths are in use, with growth by steps."""


def train_lengths(task: Task, recipe: Recipe) -> list[int]:
    """Return the training lengths of the recipe that the task has."""
    span = recipe.train_lengths
    return [length for length in range(span.low, span.high + 1) if length in task.lengths]


class StepLengths:
    """The length of each step.

    Attributes:
        choices: the training lengths.
        in_use: with growth by mastery, how many of them are in use, from the shortest.
    """

    def __init__(self, task: Task, key: str, recipe: Recipe) -> None:
        self.choices, self.recipe = train_lengths(task, recipe), recipe
        stream = Stream.of([0], f"{key} {recipe.train_lengths}", Purpose.LENGTH, 0, 1, "cpu")
        self.draws: list[int] = stream.bits(recipe.steps)[0].tolist()
        self.full_range: list[bool] = (stream.uniform(recipe.steps)[0] < recipe.full_range_share).tolist()
        self.in_use = 1

    def __getitem__(self, step: int) -> int:
        """Return the length of a step, counted from 0; with growth by mastery, as long as ``in_use`` stays the same."""
        count = len(self.choices) if self.full_range[step] else self._count(step)
        return self.choices[self.draws[step] * count >> 31]

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
