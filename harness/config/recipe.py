"""The recipe: how every cell of a comparison is trained. Part of a cell's identity."""

import math
from typing import Annotated, Any, Literal

from annotated_types import Ge, Interval
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.config.lengths import Span, TrainLengths
from harness.errors import UserError, nearest
from harness.registry.options import describe, option_error
from tasks.base import Answer

Count = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]


class Recipe(BaseModel):
    """Training settings.

    Args:
        steps: optimizer steps.
        batch_size: rows of one step, all of one length.
        train_lengths: ``LOW:HIGH``; each step's length is uniform over the task's lengths in it.
        answer: how the task is asked; ``None`` is the task's own way.
        think: computation tokens for each source token.
        schedule: of the learning rate after warm-up: ``constant``, ``cosine`` (to zero) or ``inverse_sqrt`` (Vaswani
            et al. 2017, section 5.3, scaled so that its peak is the learning rate).
        warmup: steps of linear warm-up.
        weight_decay: AdamW's decoupled decay.
        beta1: AdamW's decay of the first moment.
        beta2: AdamW's decay of the second moment.
        clip: largest gradient norm of a model; 0 does not clip.
        label_smoothing: share of the target spread over all symbols.
        validations: how often training is validated, evenly spaced, the last at the end.
        stop_when_fitted: stop at the first validation with every answer right.
        checkpoints: how many evenly spaced moments of training are kept and evaluated; the last is the one reported.
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
        """Return ``count`` evenly spaced step numbers, the last being ``steps``."""
        return sorted({max(1, round(self.steps * (i + 1) / count)) for i in range(count)})

    def factor(self, step: int) -> float:
        """Return the learning rate of step ``step`` (from 0) as a fraction of its peak."""
        if step < self.warmup:
            return (step + 1) / self.warmup
        return SCHEDULES[self.schedule](step, self)


def _cosine(step: int, recipe: Recipe) -> float:
    done = (step - recipe.warmup) / max(1, recipe.steps - recipe.warmup)
    return 0.5 * (1 + math.cos(math.pi * done))


SCHEDULES = {
    "constant": lambda step, recipe: 1.0,
    "cosine": _cosine,
    "inverse_sqrt": lambda step, recipe: (max(1, recipe.warmup) / (step + 1)) ** 0.5,
}


def make_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Build a recipe from loose values; unknown and ill-typed keys become one clear line."""
    types = {name: describe(Recipe.__annotations__[name]) for name in Recipe.model_fields}
    for key in values:
        if key not in types:
            raise UserError(f"{where} has no key {key!r}{nearest(key, types)}")
    try:
        return Recipe(**values)
    except ValidationError as error:
        raise option_error(f"{where}:", error, types) from None
