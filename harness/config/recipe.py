"""The recipe holds the training settings of a cell. It is part of the cell's identity."""

import json
import math
import re
from collections.abc import Mapping
from functools import cached_property, partial
from typing import Annotated, Any, Literal

from annotated_types import Interval
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError

from harness.config.lengths import Span, TrainLengths
from harness.config.stages import JOIN, Part, canonical_stages, timeline
from harness.errors import UserError, suggest
from harness.registry.limits import GREATEST_RATE, MOST, MOST_STEPS
from harness.registry.option_types import Described, describe, option_error, read_pairs
from tasks.base import Answer

Count = Annotated[int, Interval(ge=0, le=MOST)]
Positive = Annotated[int, Interval(ge=1, le=MOST)]
Share = Annotated[float, Interval(ge=0.0, le=1.0)]
Size = Annotated[float, Interval(ge=0.0, le=GREATEST_RATE)]

ADAMW, CROSS_ENTROPY = "adamw", "cross_entropy"
"""The built-in optimizer and loss."""
IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
"""A Python object outside this package: ``module:name``."""


def is_import_path(value: str) -> bool:
    """Whether the value of a recipe key is a Python object outside this package, written as ``module:name``."""
    return IMPORT_PATH.fullmatch(value) is not None


def _choice_or_path(choices: str, value: str) -> str:
    """Check that a value is an import path or one of ``choices``, which are written as help texts show them."""
    if value not in choices.split(" | ")[:-1] and not is_import_path(value):
        raise ValueError(f"must be {choices}")
    return value


_SCHEDULES, _OPTIMIZERS, _LOSSES = (
    "constant | cosine | inverse_sqrt | MODULE:FUNCTION",
    f"{ADAMW} | MODULE:CLASS",
    f"{CROSS_ENTROPY} | MODULE:FUNCTION",
)
Schedule = Annotated[str, AfterValidator(partial(_choice_or_path, _SCHEDULES)), Described(_SCHEDULES)]
Optimizer = Annotated[str, AfterValidator(partial(_choice_or_path, _OPTIMIZERS)), Described(_OPTIMIZERS)]
Loss = Annotated[str, AfterValidator(partial(_choice_or_path, _LOSSES)), Described(_LOSSES)]


def _joined(value: Any) -> Any:
    """Return a list of stages as one text."""
    return JOIN.join(map(str, value)) if isinstance(value, list | tuple) else value


Stages = Annotated[
    str,
    BeforeValidator(_joined),
    AfterValidator(canonical_stages),
    Described("the name of a pipeline or KIND:KEY=VALUE + KIND:KEY=VALUE"),
]


def _frozen(value: Any) -> Any:
    """Return options as sorted pairs, which can be hashed. They are given as a table or as ``key=value,key=value``."""
    if isinstance(value, str):
        value = {key: _literal(text) for key, text in read_pairs(value, f"optimizer_options {value!r}").items()}
    if not isinstance(value, Mapping):
        return value
    pairs = sorted((str(key), tuple(item) if isinstance(item, list) else item) for key, item in value.items())
    for key, item in pairs:
        items = item if isinstance(item, tuple) else (item,)
        if not all(isinstance(x, bool | int | str) or (isinstance(x, float) and math.isfinite(x)) for x in items):
            raise ValueError(f"{key} must be a finite number, true, false, a text, or a list of these")
    return tuple(pairs)


def _literal(text: str) -> Any:
    """Return the number, bool or list that a text writes; other text stays as it is."""
    for read in (json.loads, float):
        try:
            return read(text)
        except ValueError:
            continue
    return text


OptimizerOptions = Annotated[
    tuple[tuple[str, Any], ...],
    BeforeValidator(_frozen),
    PlainSerializer(lambda pairs: {key: list(v) if isinstance(v, tuple) else v for key, v in pairs}),
    Described("KEY=VALUE,KEY=VALUE"),
]


MISSING = object()
LATER_KEYS = {
    **{"optimizer": ADAMW, "optimizer_options": {}, "loss": CROSS_ENTROPY},
    **{"grace": 0.2, "length_growth": "none", "full_range_share": 0.0, "distinct": 0, "begin": False},
    **{"length_ratio": 1.0, "stages": ""},
}
"""Keys that older records lack, with their defaults."""


class Recipe(BaseModel):
    """Training settings.

    Args:
        steps: optimizer steps.
        batch_size: sequences in a batch. All sequences of a batch have the same length.
        train_lengths: ``LOW:HIGH``; the length of each step is drawn from the task's lengths in this span, uniformly
            unless lengths grow or ``length_ratio`` is not 1.
        distinct: train on a fixed set of so many sequences, split evenly over the training lengths, from which the rows
            of each batch are drawn; 0 draws new sequences in every step. Each seed has its own set.
        answer: how the model answers; ``None`` for the default of the task.
        think: computation tokens for each source token.
        begin: put a start token before the source (:mod:`harness.data.presentation`).
        schedule: of the learning rate after warm-up: ``constant``, ``cosine`` (to zero) or ``inverse_sqrt`` (Vaswani
            et al. 2017, section 5.3, scaled so that the peak is the learning rate). A function ``module:name`` of
            (step, steps, warmup) returns the learning rate as a fraction of the peak, warm-up included.
        warmup: steps of linear warm-up.
        weight_decay: decoupled weight decay of AdamW.
        beta1: decay of AdamW's first moment.
        beta2: decay of AdamW's second moment.
        clip: largest gradient norm of a model; 0 turns clipping off.
        label_smoothing: share of the target probability that is spread over all symbols.
        validations: number of validations. They are evenly spaced, and the last one is at the end of training.
        stop_when_fitted: stop a model once its answers are right at every training length, after the grace.
        grace: further steps of a model that has fitted, as a fraction of ``steps``; its learning rate falls to zero in
            them (:mod:`harness.training.stopping`).
        length_growth: how the longest length of a step grows: ``none``, ``steps`` or ``mastery``
            (:mod:`harness.data.step_lengths`).
        length_ratio: how often a training length is drawn, divided by how often the length below it is: 1 is uniform,
            a smaller number prefers short questions, a larger one long questions (:mod:`harness.data.step_lengths`).
        full_range_share: share of the steps that draw from all training lengths while lengths grow.
        checkpoints: number of checkpoints, evenly spaced. All are stored and evaluated; the last one is reported.
        optimizer: ``adamw``, or a torch optimizer as ``module:Class``; see :mod:`harness.training.custom`.
        optimizer_options: keyword arguments of such an optimizer, except ``lr`` and ``weight_decay``.
        loss: ``cross_entropy``, or a function ``module:name`` of logits and targets of one model.
        stages: how the steps are divided among ways to learn (:mod:`harness.config.stages`); empty for right answers
            from the first to the last.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    steps: Annotated[int, Interval(ge=1, le=MOST_STEPS)] = 2000
    batch_size: Positive = 64
    train_lengths: TrainLengths = Span(1, 20)
    distinct: Count = 0
    answer: Answer | None = None
    think: Count = 0
    begin: bool = False
    schedule: Schedule = "cosine"
    warmup: Annotated[int, Interval(ge=0, le=MOST_STEPS)] = 100
    weight_decay: Size = 0.0
    beta1: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.9
    beta2: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.999
    clip: Size = 1.0
    label_smoothing: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0
    validations: Positive = 10
    stop_when_fitted: bool = False
    grace: Share = 0.2
    length_growth: Literal["none", "steps", "mastery"] = "none"
    length_ratio: Annotated[float, Interval(gt=0.0, le=GREATEST_RATE)] = 1.0
    full_range_share: Share = 0.0
    checkpoints: Positive = 1
    optimizer: Optimizer = ADAMW
    optimizer_options: OptimizerOptions = ()
    loss: Loss = CROSS_ENTROPY
    stages: Stages = ""

    @cached_property
    def canonical(self) -> dict[str, Any]:
        """The recipe as JSON values. Keys that older records lack are left out while they have their default."""
        return {key: value for key, value in self.model_dump().items() if LATER_KEYS.get(key, MISSING) != value}

    def moments(self, count: int) -> list[int]:
        """Return up to ``count`` evenly spaced step numbers. The last one is ``steps``."""
        return sorted({max(1, round(self.steps * (i + 1) / count)) for i in range(count)})

    def timeline(self) -> list[Part]:
        """Return the stages with their steps."""
        return timeline(self.stages, self.steps)


def make_recipe(values: dict[str, Any], where: str = "recipe") -> Recipe:
    """Build a recipe from plain values; raise :class:`UserError` for the first key that is unknown or has a wrong type.

    ``where`` names the origin of the values in errors.
    """
    types = {name: describe(Recipe.__annotations__[name]) for name in Recipe.model_fields}
    for key in values:
        if key in ("learning_rate", "learning_rates"):
            raise UserError(f"{where} has no key {key!r}: use learning_rates of the suite, or --learning-rate")
        if key not in types:
            raise UserError(f"{where} has no key {key!r}{suggest(key, types)}")
        if isinstance(values[key], bool) and types[key] != "bool":
            raise UserError(f"{where}: {key}={str(values[key]).lower()}: must be {types[key]}")
    try:
        return Recipe(**values)
    except ValidationError as error:
        raise option_error(f"{where}:", error, types) from None
