"""Early stopping: a model that solves its training lengths trains for a few more steps, and then stops.

Scores beyond the training lengths still change after a model has fitted. So it does not stop at once: it gets a fixed
number of further steps, the *grace*, in which its learning rate falls linearly to zero. A model that does not fit uses
all steps under the schedule of the recipe.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.config.recipe import Recipe


class Stopping:
    """The learning rates and the last step of each model of a population.

    Args:
        factors: the learning rate of each step as a fraction of its peak, for a model that never fits.

    Attributes:
        factors: float ``[steps, R]``, the learning rate of each step and model as a fraction of its peak. A CUDA graph
            reads it, so it is changed in place.
        fitted_at: for each model the step after which validation was first solved at every training length, or None.
        last_steps: for each model the number of steps that it takes.
    """

    def __init__(self, recipe: Recipe, models: int, like: Tensor, factors: Sequence[float]) -> None:
        self.recipe = recipe
        self.factors = like.new_tensor(factors)[:, None].repeat(1, models)
        self.fitted_at: list[int | None] = [None] * models
        self.last_steps = [recipe.steps] * models

    def mark_fitted(self, model: int, step: int) -> None:
        """Note that a model has fitted after ``step`` steps. With ``stop_when_fitted`` it stops after the grace."""
        self.fitted_at[model] = step
        if not self.recipe.stop_when_fitted or step == self.recipe.steps:
            return
        last = min(step + round(self.recipe.grace * self.recipe.steps), self.recipe.steps)
        fall = torch.linspace(1.0, 0.0, last - step + 1)[:-1].to(self.factors)
        self.factors[step:last, model] = self.factors[step, model] * fall
        self.factors[last:, model] = 0.0
        self.last_steps[model] = last
