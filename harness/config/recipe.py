"""The recipe holds the training settings of a cell. It is part of the cell's identity."""

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.config.lengths import Span, TrainLengths
from harness.errors import UserError, suggest
from harness.registry.options import describe, option_error
from tasks.base import Answer

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]


class Recipe(BaseModel):
    """Training settings.

    Args:
        steps: optimizer steps.
        batch_size: sequences in a batch. All sequences of a batch have the same length.
        train_lengths: ``LOW:HIGH``; the length of each step is drawn uniformly from the task's lengths in this span.
        answer: how the model answers; ``None`` for the default of the task.
        think: computation tokens for each source token.
        schedule: of the learning rate after warm-up: ``constant``, ``cosine`` (to zero) or ``inverse_sqrt`` (Vaswani
            et al. 2017, section 5.3, scaled so that the peak is the learning rate).
        warmup: steps of linear warm-up.
        weight_decay: decoupled weight decay of AdamW.
        beta1: decay of AdamW's first moment.
        beta2: decay of AdamW's second moment.
        clip: largest gradient norm of a model; 0 turns clipping off.
        label_smoothing: share of the target probability that is spread over all symbols.
        validations: number of validations. They are evenly spaced, and the last one is at the end of training.
        stop_when_fitted: stop at the first validation in which every answer is right.
        checkpoints: number of checkpoints, evenly spaced. All are stored and evaluated; the last one is reported.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Positive = 2000
    batch_size: Positive = 64
    train_lengths: TrainLengths = Span(1, 20)
    answer: Answer | None = None
    think: Count = 0
    schedule: Literal["constant", "cosine", "inverse_sqrt"] = "cosine"
    warmup: Count = 100
    weight_decay: Annotated[float, Ge(0.0)] = 0.0
    beta1: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.9
    beta2: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.999
    clip: Annotated[float, Ge(0.0)] = 1.0
    label_smoothing: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    validations: Positive = 10
    stop_when_fitted: bool = False
    checkpoints: Positive = 1

    def moments(self, count: int) -> list[int]:
        """Return up to ``count`` evenly spaced step numbers. The last one is ``steps``."""
        return sorted({max(1, round(self.steps * (i + 1) / count)) for i in range(count)})

    def factor(self, step: int) -> float:
        """Return the learning rate at ``step`` (counted from 0) as a fraction of the peak."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return SCHEDULES[self.schedule](step, self)


def _cosine(step: int, recipe: Recipe) -> float:
    progress = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * progress))


SCHEDULES = {
    "constant": lambda step, recipe: 1.0,
    "cosine": _cosine,
    "inverse_sqrt": lambda step, recipe: (max(1, recipe.warmup) / (step + 1)) ** 0.5,
}


def make_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Build a recipe from plain values; raise :class:`UserError` for the first key that is unknown or has a wrong type.

    ``where`` names the origin of the values in errors.
    """
    types = {name: describe(Recipe.__annotations__[name]) for name in Recipe.model_fields}
    for key in values:
        if key not in types:
            raise UserError(f"{where} has no key {key!r}{suggest(key, types)}")
    try:
        return Recipe(**values)
    except ValidationError as error:
        raise option_error(f"{where}:", error, types) from None
