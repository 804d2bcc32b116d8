"""The stages of one training in their order, and what the trainer reads from them."""

from bisect import bisect_right
from typing import Any

from harness.training.custom import factors
from harness.training.stages.base import StageTrainer
from harness.training.stages.kinds import trainer_of
from harness.training.stages.setting import Setting


class Pipeline:
    """The stages of a training.

    Attributes:
        plain: whether there is one stage only, of right answers.
        factors: the learning rate of each step as a fraction of the cell's.
        checkpoints: the steps whose weights are kept beside those that the recipe asks for.
    """

    def __init__(self, setting: Setting) -> None:
        recipe = setting.recipe
        self.plain = not recipe.stages
        self.stages = [trainer_of(setting, part) for part in recipe.timeline()]
        self.starts = [stage.part.first for stage in self.stages]
        self.factors = factors(recipe) if self.plain else [f for stage in self.stages for f in stage.rate_factors()]
        self.checkpoints = set[int]() if self.plain else set().union(*(stage.checkpoints() for stage in self.stages))

    def at(self, step: int) -> StageTrainer[Any]:
        """Return the stage of a step, counted from 0."""
        return self.stages[bisect_right(self.starts, step) - 1]

    def starts_at(self, step: int) -> bool:
        """Whether a stage after the first one begins with a step."""
        return step > 0 and step in self.starts
