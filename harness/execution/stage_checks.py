"""Checks of a recipe's stages before a run: everything that a stage needs from the task, the recipe and the model."""

from collections.abc import Callable
from typing import Any

from architectures.base import SequenceModel
from harness.compiler import NotCompilable, compile_task, misfit
from harness.config.recipe import ADAMW, CROSS_ENTROPY, Recipe
from harness.config.stages import (
    DPO,
    GRPO,
    PPO,
    Compiled,
    Distill,
    Masked,
    Part,
    SelfImprove,
    Stage,
    StatePassing,
    Supervised,
)
from harness.data.presentation import NotApplicable, Presentation
from harness.data.step_lengths import train_lengths
from harness.errors import UserError
from harness.execution.parameter_matching import build_unallocated
from harness.models.tensors import trained_parameters
from harness.registry.options import Spec, build_task
from harness.training.stages.answers import SLACK
from harness.training.stages.base import trained_names
from harness.training.stages.state_passing import state_obstacle
from harness.training.stages.supervised import other_presentation


def check_stages(task: Spec, recipe: Recipe) -> None:
    """Raise :class:`UserError` if a stage of a recipe cannot be trained on a task."""
    if not recipe.stages:
        return
    _check_recipe(recipe)
    for part in recipe.timeline():
        CHECKS[type(part.stage)](part, task, recipe)


def _check_recipe(recipe: Recipe) -> None:
    """Raise :class:`UserError` for keys of a recipe that have no meaning with several stages."""
    plain = {"stop_when_fitted": False, "length_growth": "none", "optimizer": ADAMW, "loss": CROSS_ENTROPY}
    for key, value in plain.items():
        if getattr(recipe, key) != value:
            given, needed = (str(v).lower() if isinstance(v, bool) else v for v in (getattr(recipe, key), value))
            raise UserError(f"stages {recipe.stages!r}: {key}={given} is for one stage; set it to {needed}")


def _check_other_task(stage: Supervised | Masked, task: Spec, recipe: Recipe) -> None:
    """Raise :class:`UserError` if the task of a stage cannot be asked of the models of the cell's task."""
    if not stage.task:
        return
    other, asked = Spec.parse("task", stage.task, task.catalog), Presentation.of(task, recipe)
    ours, theirs = build_task(task).symbols, build_task(other).symbols
    if len(ours) != len(theirs):
        raise UserError(
            f"stage {str(stage)!r}: {other} has {len(theirs)} symbols ({' '.join(theirs)}), and {task} has {len(ours)} "
            f"({' '.join(ours)}); choose a task with as many symbols"
        )
    try:
        lengths = train_lengths(other_presentation(asked, other).task, recipe)
    except NotApplicable as reason:
        raise UserError(f"stage {str(stage)!r}: {reason}") from None
    if not lengths:
        raise UserError(f"stage {str(stage)!r}: {other} has none of the training lengths {recipe.train_lengths}")


def _check_supervised(part: Part, task: Spec, recipe: Recipe) -> None:
    stage = part.stage
    assert isinstance(stage, Supervised)
    _check_other_task(stage, task, recipe)
    if stage.predict == "sequence" and Presentation.of(task, recipe).mode != "generate":
        raise UserError(
            f"stage {str(stage)!r}: predict=sequence needs answers that are generated; set answer to generate"
        )
    if stage.lengths is None:
        return
    span, all_lengths = stage.lengths, recipe.train_lengths
    within = span.low in all_lengths and span.high in all_lengths
    some = [length for length in train_lengths(build_task(task), recipe) if length in span]
    if not (within and some):
        raise UserError(f"stage {str(stage)!r}: lengths must be within the training lengths {all_lengths}")


def _check_masked(part: Part, task: Spec, recipe: Recipe) -> None:
    assert isinstance(part.stage, Masked)
    _check_other_task(part.stage, task, recipe)


def _check_self_improve(part: Part, task: Spec, recipe: Recipe) -> None:
    stage = part.stage
    assert isinstance(stage, SelfImprove)
    if part.steps < stage.rounds:
        raise UserError(f"stage {str(stage)!r}: it has {part.steps} steps, fewer than its {stage.rounds} rounds")
    longest = train_lengths(build_task(task), recipe)[-1]
    if not any(longest + extra in build_task(task).lengths for extra in range(1, stage.extend + 1)):
        raise UserError(f"stage {str(stage)!r}: {task} has no length from {longest + 1} to {longest + stage.extend}")


def _check_pairs(part: Part, task: Spec, recipe: Recipe) -> None:
    _check_grading(part.stage, task, recipe)
    _check_batch(part.stage, recipe, 2)


def _check_groups(part: Part, task: Spec, recipe: Recipe) -> None:
    assert isinstance(part.stage, GRPO)
    _check_grading(part.stage, task, recipe)
    _check_batch(part.stage, recipe, part.stage.answers)


def _check_reward_model(part: Part, task: Spec, recipe: Recipe) -> None:
    _check_pairs(part, task, recipe)
    if (mode := Presentation.of(task, recipe).mode) != "generate":
        raise UserError(
            f"stage {str(part.stage)!r}: a reward model reads answers that are generated, and {task} is asked as "
            f"{mode}; set answer to generate, or choose dpo or grpo"
        )


def _check_grading(stage: Stage, task: Spec, recipe: Recipe) -> None:
    """Raise :class:`UserError` if sampled answers cannot be graded: a task grades by its questions as it draws them."""
    key = "begin" if recipe.begin else "think" if recipe.think else ""
    if key and Presentation.of(task, recipe).graded_by_task:
        raise UserError(
            f"stage {str(stage)!r}: {task} grades answers by its own rule, which does not know the tokens "
            f"that {key} adds; leave {key} out, or choose another stage"
        )


def _check_batch(stage: Stage, recipe: Recipe, answers: int) -> None:
    """Raise :class:`UserError` unless a batch holds whole groups of answers to one question."""
    if recipe.batch_size % answers:
        near = max(answers, round(recipe.batch_size / answers) * answers)
        raise UserError(
            f"stage {str(stage)!r}: batch_size {recipe.batch_size} must be a multiple of the {answers} answers to each "
            f"question, for example {near}"
        )


def _check_distill(part: Part, task: Spec, recipe: Recipe) -> None:
    stage = part.stage
    assert isinstance(stage, Distill)
    teacher, asked = Spec.parse("architecture", stage.teacher, task.catalog), Presentation.of(task, recipe)
    model = build_unallocated(teacher, asked.symbols)
    if asked.mode == "generate" and not model.causal:
        raise UserError(f"stage {str(stage)!r}: {teacher} is not causal, so it cannot generate answers")
    if stage.to and stage.to < recipe.train_lengths.high:
        raise UserError(
            f"stage {str(stage)!r}: to must be at least the longest training length {recipe.train_lengths.high}"
        )


def _check_compiled(part: Part, task: Spec, recipe: Recipe) -> None:
    if part.first:
        raise UserError(f"stages {recipe.stages!r}: compiled replaces all weights, so it must be the first stage")
    if part.stage.train != "all":
        raise UserError(f"stage {str(part.stage)!r}: compiled trains nothing; leave train at all")
    try:
        compile_task(Presentation.of(task, recipe))
    except NotCompilable as reason:
        raise UserError(f"{task} cannot be compiled: {reason}") from None


CHECKS: dict[type[Stage], Callable[[Part, Spec, Recipe], None]] = {
    Supervised: _check_supervised,
    StatePassing: lambda part, task, recipe: None,
    Masked: _check_masked,
    SelfImprove: _check_self_improve,
    DPO: _check_pairs,
    GRPO: _check_groups,
    PPO: _check_reward_model,
    Distill: _check_distill,
    Compiled: _check_compiled,
}


OBSTACLES: dict[type[Stage], Callable[[SequenceModel, Presentation], str | None]] = {
    Compiled: misfit,
    StatePassing: lambda model, presentation: state_obstacle(model),
}
"""Why a model cannot be trained in a stage of a kind, if it cannot."""


def check_stage_model(recipe: Recipe, model: SequenceModel, presentation: Presentation) -> None:
    """Raise :class:`NotApplicable` if a model cannot be trained in one of the stages."""
    if not recipe.stages:
        return
    if model.is_gradient_free():
        raise NotApplicable("it is trained without gradients, which only right answers in all steps allow")
    names = list(trained_parameters(model))
    for part in recipe.timeline():
        if part.stage.train != "all" and not trained_names(names, part.stage.train):
            raise NotApplicable(f"stage {str(part.stage)!r}: its modules have other names than layers, norm and head")
        obstacle = OBSTACLES.get(type(part.stage), lambda model, presentation: None)
        if reason := obstacle(model, presentation):
            raise NotApplicable(f"stage {str(part.stage)!r}: {reason}")
        longest = _longest(part, presentation, recipe)
        own_answers = SLACK if isinstance(part.stage, SelfImprove | PPO) else 0
        if model.reach is not None and presentation.stream_length(longest) + own_answers > model.reach:
            raise NotApplicable(f"stage {str(part.stage)!r}: length {longest} is beyond its reach of {model.reach}")


def _longest(part: Part, presentation: Presentation, recipe: Recipe) -> int:
    """Return the length of the longest questions of a stage."""
    longest: Any = train_lengths(presentation.task, recipe)[-1]
    if isinstance(part.stage, SelfImprove):
        longest += part.stage.rounds * part.stage.extend
    if isinstance(part.stage, Distill):
        longest = max(longest, part.stage.to)
    return min(longest, presentation.task.lengths[-1])
