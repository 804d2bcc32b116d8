"""Stages: how the models learn in each part of the training, and the pipelines of stages that have a name.

A pipeline is the value of the recipe key ``stages``: specs of stages, written as ``kind:key=value,key=value`` and
joined by `` + ``, or a name in :data:`PIPELINES`. Each stage continues with the weights of the one before::

    stages = "supervised + dpo"                         # half of the steps each
    stages = "masked:share=0.3 + supervised"            # the rest of the steps
    stages = "self_improve"                             # a name

All pipelines of a recipe have the same number of steps, so that they are compared at equal numbers of updates. An
empty value trains on right answers from the first step to the last, as ``supervised`` does.

A value with commas stands in square brackets: ``distill:teacher=[lstm:width=32,depth=1]``.
``harness/training/stages/`` has one module for each kind.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

from annotated_types import Interval
from pydantic import BaseModel, ConfigDict, ValidationError

from harness.config.lengths import TrainLengths
from harness.errors import UserError, suggest
from harness.registry.limits import GREATEST_RATE, LONGEST, MOST
from harness.registry.option_types import describe, option_error, read_pairs

JOIN = " + "
_JOIN = re.compile(r"\s\+\s")
TOLERANCE = 1e-6
"""How far the shares of all stages may be from a sum of 1."""

Share = Annotated[float, Interval(ge=0.0, le=1.0)]
Ratio = Annotated[float, Interval(ge=0.0, le=GREATEST_RATE)]
Positive = Annotated[int, Interval(ge=1, le=MOST)]


class Stage(BaseModel):
    """Settings of all stages.

    Args:
        share: of the recipe's steps; stages without one share evenly what is left.
        rate: peak learning rate, divided by that of the cell.
        train: what changes: ``all``, ``last`` (the last layer and the output layer), ``output``, or ``lora`` (low-rank
            updates of the matrices of all layers, Hu et al. 2022).
        rank: of these updates.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    kind: ClassVar[str]

    share: Share | None = None
    rate: Ratio = 1.0
    train: Literal["all", "last", "output", "lora"] = "all"
    rank: Annotated[int, Interval(ge=1, le=1024)] = 4

    def __str__(self) -> str:
        values = {key: getattr(self, key) for key, field in type(self).model_fields.items()}
        changed = {key: v for key, v in values.items() if v != type(self).model_fields[key].default}
        pairs = ",".join(f"{key}=[{v}]" if "," in str(v) else f"{key}={v}" for key, v in changed.items())
        return f"{self.kind}:{pairs}" if pairs else self.kind


class Supervised(Stage):
    """Right answers to new questions.

    Args:
        task: another task with as many symbols, to pretrain on; empty for the task of the cell.
        predict: ``answer``, or ``sequence`` for next-token prediction of question and answer.
        lengths: ``LOW:HIGH`` within the training lengths; all of them by default.
    """

    kind: ClassVar[str] = "supervised"

    task: str = ""
    predict: Literal["answer", "sequence"] = "answer"
    lengths: TrainLengths | None = None


class StatePassing(Stage):
    """Right answers, where rows begin in the states in which earlier rows ended (arXiv 2507.02782).

    Args:
        fresh: share of the rows that begin at the zero state.
    """

    kind: ClassVar[str] = "state_passing"

    fresh: Share = 0.5


class Masked(Stage):
    """Masked language modelling of questions (Devlin et al. 2019, section 3.1).

    Args:
        task: as for ``supervised``.
        masked: share of the tokens that are predicted; of these 80 % are replaced by ``<blank>``, 10 % by random ones.
    """

    kind: ClassVar[str] = "masked"

    task: str = ""
    masked: Share = 0.15


class SelfImprove(Stage):
    """The model's own answers to longer questions than it has right answers for (Lee et al. 2025, arXiv 2502.01612).

    Args:
        rounds: at the beginning of each, the model answers questions of further lengths.
        extend: lengths that are added in a round.
        questions: of each length and model.
        shorter: an answer is dropped if it is shorter than the longest one to a question of its length by more tokens.
        agree: an answer is kept if the models at the ends of so many last rounds, with today's, give the same.
    """

    kind: ClassVar[str] = "self_improve"

    rounds: Annotated[int, Interval(ge=1, le=1000)] = 5
    extend: Annotated[int, Interval(ge=1, le=LONGEST)] = 1
    questions: Positive = 512
    shorter: Annotated[int, Interval(ge=0, le=MOST)] = 1
    agree: Annotated[int, Interval(ge=1, le=16)] = 1


class DPO(Stage):
    """Direct preference optimization (Rafailov et al. 2023, equation 7).

    Args:
        beta: weight of the log ratios to the model at the beginning of the stage.
        pairs: ``truth``: the right answer is preferred to one of the model; ``sampled``: of two answers of the model
            the one with more right tokens before the first wrong one is preferred.
    """

    kind: ClassVar[str] = "dpo"

    beta: Ratio = 0.1
    pairs: Literal["truth", "sampled"] = "truth"


class Sampled(Stage):
    """Settings of stages that sample answers and learn from their rewards.

    Args:
        clip: largest change of the probability ratio that is rewarded.
        beta: weight of the KL divergence from the model at the beginning of the stage.
        reuse: steps on the same answers.
    """

    clip: Ratio = 0.2
    beta: Ratio = 0.04
    reuse: Annotated[int, Interval(ge=1, le=1000)] = 1


class GRPO(Sampled):
    """Group relative policy optimization (Shao et al. 2024, arXiv 2402.03300, equation 3), rewarded by the task.

    Args:
        answers: sampled for each question; the batch size must be a multiple.
        reward: ``exact``: 1 for a right answer, else 0; ``prefix``: share of right tokens before the first wrong one.
    """

    kind: ClassVar[str] = "grpo"

    answers: Annotated[int, Interval(ge=2, le=1024)] = 8
    reward: Literal["exact", "prefix"] = "exact"


class PPO(Sampled):
    """Proximal policy optimization against a learned reward (Ouyang et al. 2022, section 3.5).

    Args:
        pairs: what the reward model learns from; as for ``dpo``.
        reward_steps: of the reward model, before the first step of the stage; 0 for half as many as the stage has.
        decay: weight of each further token in the advantage (lambda of Schulman et al. 2016).
    """

    kind: ClassVar[str] = "ppo"

    beta: Ratio = 0.2
    pairs: Literal["truth", "sampled"] = "truth"
    reward_steps: Annotated[int, Interval(ge=0, le=MOST)] = 0
    decay: Share = 0.95


class Distill(Stage):
    """The output probabilities of a teacher (Hinton et al. 2015) as targets.

    Args:
        teacher: spec of an architecture, which is trained first: on right answers, as the cell would be.
        teacher_steps: steps of the teacher's training; 0 for as many as the recipe has.
        teacher_rate: peak learning rate of the teacher, divided by that of the cell.
        to: the longest questions that the teacher answers; 0 for the longest training length.
        temperature: of both softmax functions.
    """

    kind: ClassVar[str] = "distill"

    teacher: str
    teacher_steps: Annotated[int, Interval(ge=0, le=MOST)] = 0
    teacher_rate: Ratio = 1.0
    to: Annotated[int, Interval(ge=0, le=LONGEST)] = 0
    temperature: Annotated[float, Interval(gt=0.0, le=GREATEST_RATE)] = 1.0


class Compiled(Stage):
    """Weights that are compiled from the task's RASP-L program (:mod:`harness.compiler`), which no step changes."""

    kind: ClassVar[str] = "compiled"


_KINDS = (Supervised, StatePassing, Masked, SelfImprove, DPO, GRPO, PPO, Distill, Compiled)
KINDS: dict[str, type[Stage]] = {kind.kind: kind for kind in _KINDS}

PIPELINES = {
    "supervised": "",
    "pretrain": "supervised:predict=sequence + supervised",
    "masked": "masked + supervised",
    "state_passing": "supervised + state_passing",
    "self_improve": "supervised + self_improve",
    "dpo": "supervised + dpo:rate=0.1",
    "grpo": "supervised + grpo:rate=0.1",
    "ppo": "supervised + ppo:rate=0.1",
}
"""Pipelines by name, for ``--recipe NAME`` and as values of ``stages``."""


def parse_stages(text: str) -> tuple[Stage, ...]:
    """Return the stages of a pipeline with their shares filled in; none for the empty text.

    Raises:
        UserError: if a kind, a key or a value is wrong, or the shares are more than 1 in sum.

    >>> [stage.share for stage in parse_stages("masked:share=0.5 + supervised + dpo")]
    [0.5, 0.25, 0.25]
    """
    written = PIPELINES.get(text.strip(), text).strip()
    stages = [_parse_stage(part.strip()) for part in _JOIN.split(written)] if written else []
    given = [stage.share for stage in stages if stage.share is not None]
    left, open_shares = 1.0 - sum(given), len(stages) - len(given)
    if stages and (left < -TOLERANCE or (not open_shares and abs(left) > TOLERANCE)):
        raise UserError(f"stages {text!r}: the shares add up to {sum(given):g}; they must add up to 1")
    even = max(0.0, left) / max(1, open_shares)
    return tuple(stage if stage.share is not None else stage.model_copy(update={"share": even}) for stage in stages)


def canonical_stages(text: str) -> str:
    """Return the text of a pipeline as cells have it: names replaced, defaults left out, shares as given."""
    written = PIPELINES.get(text.strip(), text).strip()
    parse_stages(written)
    return JOIN.join(str(_parse_stage(part.strip())) for part in _JOIN.split(written)) if written else ""


@dataclass(frozen=True)
class Part:
    """A stage from step ``first``, counted from 0, until ``last`` steps are done."""

    stage: Stage
    first: int
    last: int

    @property
    def steps(self) -> int:
        """The number of steps."""
        return self.last - self.first


def timeline(text: str, steps: int) -> list[Part]:
    """Return the stages of a pipeline over ``steps`` steps; those that get no step are left out.

    >>> [(part.first, part.last) for part in timeline("supervised + dpo", 5)]
    [(0, 2), (2, 5)]
    """
    parts, done, share = [], 0, 0.0
    for stage in parse_stages(text) or (Supervised(share=1.0),):
        share += stage.share or 0.0
        last = min(steps, round(share * steps))
        parts.append(Part(stage, done, last))
        done = last
    return [part for part in parts if part.steps]


def pipeline_name(text: str) -> str:
    """Return the name of a pipeline, or its text where it has none."""
    names = {canonical_stages(pipeline): name for name, pipeline in PIPELINES.items()}
    return names.get(text, text)


def _parse_stage(text: str) -> Stage:
    name, colon, tail = text.partition(":")
    if name.strip() not in KINDS:
        choices = {**KINDS, **PIPELINES}
        raise UserError(f"there is no stage {name.strip()!r}{suggest(name.strip(), choices)}")
    kind = KINDS[name.strip()]
    what = f"stage {text!r}"
    pairs = read_pairs(tail, what) if colon else {}
    values: dict[str, Any] = {key: value[1:-1] if value.startswith("[") else value for key, value in pairs.items()}
    types = {key: describe(field.annotation) for key, field in kind.model_fields.items()}
    for key in values:
        if key not in types:
            raise UserError(f"{what} has no key {key!r}{suggest(key, types)}")
    try:
        return kind(**values)
    except ValidationError as error:
        raise option_error(f"{what}:", error, {}) from None
