"""Learning rates over training: a linear warm-up, then one of the built-in schedules.

``constant``; ``cosine``, to zero; ``inverse_sqrt`` (Vaswani et al. 2017, section 5.3, scaled so that the peak is the
learning rate of the cell).
"""

import math

from harness.config.recipe import Recipe


def rate_factor(recipe: Recipe, step: int) -> float:
    """Return the learning rate of a built-in schedule at ``step``, counted from 0, as a fraction of the peak."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return SCHEDULES[recipe.schedule](step, recipe)


def _cosine(step: int, recipe: Recipe) -> float:
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


SCHEDULES = {
    "constant": lambda step, recipe: 1.0,
    "cosine": _cosine,
    "inverse_sqrt": lambda step, recipe: (max(1, recipe.warmup) / (step + 1)) ** 0.5,
}
