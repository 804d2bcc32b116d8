"""Planning: from the text of a suite to its plan. Everything that can be refused is refused here, before any training.

A suite names architectures and tasks as text. They are parsed and checked, and lengths follow from the recipe. The
model of each pair is built once, without memory for its parameters, to find the reason why the pair may not apply.
"""

from collections.abc import Sequence
from dataclasses import replace

from architectures.base import SequenceModel
from harness.config.lengths import parse_grid
from harness.config.recipe import Recipe, make_recipe
from harness.config.suite import Evaluation, Suite, TaskEntry
from harness.data.presentation import NotApplicable, Presentation
from harness.data.step_lengths import train_lengths
from harness.errors import UserError, suggest
from harness.execution.parameter_matching import TOLERANCE, build_unallocated, parse_match, solve_width
from harness.execution.plan import Pair, Plan, PlannedTask, Variant
from harness.execution.plan_checks import (
    check_claims,
    check_classes,
    check_evaluations,
    check_instance,
    check_model,
    check_model_options,
    check_names,
    check_questions,
    check_size,
    repeated_architectures,
    repeated_tasks,
    unasked_warning,
    warm_up_note,
)
from harness.execution.plan_lengths import available_lengths, in_range_lengths, requested_lengths, skipped_note
from harness.execution.stage_checks import check_stage_model, check_stages
from harness.models.cost import parameters
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from harness.registry.user_code import contained
from harness.training import custom


def make_plan(suite: Suite, catalog: Catalog) -> Plan:
    """Return the plan of a suite; raise :class:`UserError` for anything in it that cannot be done."""
    specs = {text: _architecture(text, suite, catalog) for text in suite.architectures}
    architectures = list(dict.fromkeys(specs.values()))
    for spec in architectures:
        check_classes(spec)
    check_model_options(suite, architectures)
    check_evaluations(suite, catalog)
    tasks = [_planned_task(entry, suite, catalog) for entry in suite.entries]
    chosen = [_chosen_architectures(entry, suite, architectures, catalog) for entry in suite.entries]
    matched, notes = _matched(suite, architectures, tasks)
    models = _Models()
    pairs = [_pair(matched[spec], task, models) for task, specs in zip(tasks, chosen, strict=True) for spec in specs]
    repeated = [*repeated_architectures(suite, specs), *repeated_tasks(suite, [(t.task, t.recipe) for t in tasks])]
    plan = Plan(suite, tuple(matched.values()), tuple(tasks), tuple(pairs), tuple(notes), tuple(repeated))
    check_claims(suite.known, _evaluated_lengths(plan), lambda text: str(_architecture(text, suite, catalog)), catalog)
    if not plan.pairs:
        reasons = (f"{pair.architecture} on {pair.task.task}: {pair.obstacle}" for pair in plan.not_applicable)
        raise UserError(f"nothing to train: {'; '.join(reasons)}")
    return plan


def _architecture(text: str, suite: Suite, catalog: Catalog) -> Spec:
    return Spec.parse("architecture", text, catalog).with_defaults(suite.model)


def _chosen_architectures(
    entry: TaskEntry, suite: Suite, architectures: Sequence[Spec], catalog: Catalog
) -> list[Spec]:
    """Return the architectures that a task is meant for, in the order of the suite."""
    if entry.architectures is None:
        return list(architectures)
    wanted = {text: _architecture(text, suite, catalog) for text in entry.architectures}
    for text, spec in wanted.items():
        if spec not in architectures:
            hint = suggest(str(spec), map(str, architectures))
            raise UserError(f"task {entry.task}: {text!r} is no architecture of this suite{hint}")
    return [spec for spec in architectures if spec in wanted.values()]


def _planned_task(entry: TaskEntry, suite: Suite, catalog: Catalog) -> PlannedTask:
    """Return a task with its lengths, or without any if its code raises an error; its cells will fail with that."""
    spec = Spec.parse("task", entry.task, catalog)
    check_classes(spec)
    recipe = make_recipe(suite.recipe | entry.overrides, f"recipe of {spec}" if entry.overrides else "recipe")
    custom.check_recipe(recipe)
    try:
        with contained():
            planned = _task_with_lengths(spec, recipe, entry, suite)
    except UserError:
        raise
    except Exception as error:
        return PlannedTask(spec, recipe, (Variant("", spec, ()),), (_raised(str(spec), error),))
    try:
        with contained():
            _check_questions(planned)
    except UserError:
        raise
    except NotApplicable:
        return planned  # the obstacle of each pair
    except Exception as error:
        return replace(planned, notes=(*planned.notes, _raised(str(spec), error)))
    return planned


def _raised(subject: str, error: Exception) -> str:
    return f"{subject} raises {type(error).__name__}: {error}".partition("\n")[0]


def _task_with_lengths(spec: Spec, recipe: Recipe, entry: TaskEntry, suite: Suite) -> PlannedTask:
    check_instance(build_task(spec))
    in_range = in_range_lengths(spec, recipe)
    check_stages(spec, recipe)
    asked = suite.test_lengths if entry.test_lengths is None else entry.test_lengths
    requested = requested_lengths(spec, recipe, asked)
    variants = [_variant(evaluation, spec) for evaluation in suite.evaluation if _concerns(evaluation, spec)]
    check_names(spec, [variant.name for variant in variants])
    skipped = [skipped_note(spec, requested), *(skipped_note(v.task, v.lengths) for v in variants)]
    notes = filter(None, [warm_up_note(spec, recipe), *skipped])
    lengths = (*in_range, *available_lengths(spec, requested))
    main = Variant("", spec, tuple(sorted(set(lengths))))
    others = (Variant(v.name, v.task, available_lengths(v.task, v.lengths)) for v in variants)
    return PlannedTask(spec, recipe, (main, *others), tuple(notes), unasked_warning(spec, recipe))


def _check_questions(planned: PlannedTask) -> None:
    """Raise :class:`UserError` if a user's task asks wrong questions at training lengths, or at the ends of a test."""
    for variant in planned.variants:
        trained = [length for length in variant.lengths if length in planned.recipe.train_lengths]
        lengths = sorted({*trained, variant.lengths[0], variant.lengths[-1]})
        check_questions(variant.task, Presentation.of(variant.task, planned.recipe), lengths)


def _concerns(evaluation: Evaluation, spec: Spec) -> bool:
    """Whether the cells of a task are evaluated on a variant."""
    if evaluation.of:
        return Spec.parse("task", evaluation.of, spec.catalog) == spec
    return Spec.parse("task", evaluation.task, spec.catalog).name == spec.name


def _variant(evaluation: Evaluation, spec: Spec) -> Variant:
    """Return the variant of a task that an evaluation asks for, with all its lengths."""
    variant = Spec.parse("task", evaluation.task, spec.catalog)
    check_instance(build_task(variant))
    if build_task(spec).symbols != build_task(variant).symbols:
        raise UserError(
            f"evaluation {variant}: its alphabet differs from that of {spec}, so models of {spec} cannot be evaluated "
            "on it; set `of` to the task entry that it is a variant of"
        )
    return Variant(evaluation.name, variant, tuple(parse_grid(evaluation.test_lengths, "test lengths")))


def _matched(suite: Suite, specs: Sequence[Spec], tasks: Sequence[PlannedTask]) -> tuple[dict[Spec, Spec], list[str]]:
    """Return each architecture with its matched width, and a note on each; unchanged if the suite does not match."""
    if not suite.match:
        return {spec: spec for spec in specs}, []
    # A task whose constructor raises has no lengths and no alphabet.
    first = next((task for task in tasks if task.variants[0].lengths), None)
    if first is None:
        return {spec: spec for spec in specs}, []
    target, symbols = parse_match(suite.match), Presentation(build_task(first.task)).symbols
    matched, notes = {}, []
    for spec in specs:
        try:
            with contained():
                matched[spec], size = solve_width(spec, symbols, target)
        except UserError:
            raise
        except Exception as error:
            matched[spec] = spec
            notes.append(f"not matched: {_raised(str(spec), error)}")
            continue
        deviation = size / target - 1
        warning = "" if abs(deviation) <= TOLERANCE else f", more than {TOLERANCE:.0%} off"
        notes.append(f"matched: {matched[spec]} has {size:,} parameters ({deviation:+.1%}{warning})")
    return matched, notes


class _Models(dict[tuple[Spec, tuple[str, ...]], SequenceModel]):
    """Models without values by spec and alphabet, for the tasks of one plan that share them."""

    def __missing__(self, key: tuple[Spec, tuple[str, ...]]) -> SequenceModel:
        model = build_unallocated(*key)
        if all(parameter.is_meta for parameter in model.parameters()):  # others take memory
            self[key] = model
        return model


def _pair(spec: Spec, task: PlannedTask, models: _Models) -> Pair:
    """Return an architecture on a task, with the reason if it cannot be trained."""
    try:
        with contained():
            return Pair(spec, task, _checked_size(spec, task, models))
    except (NotApplicable, custom.CustomError) as reason:
        return Pair(spec, task, obstacle=str(reason))
    except UserError:
        raise
    except Exception as error:
        return Pair(spec, task, note=_raised(f"{spec} on {task.task}", error))


def _checked_size(spec: Spec, task: PlannedTask, models: _Models) -> int:
    """Return the number of parameters of a pair's model; raise what keeps it from being trained."""
    presentation = Presentation.of(task.task, task.recipe)
    model = models[spec, presentation.symbols]
    check_instance(model)
    check_model(spec, model)
    _check_causality(model, presentation)
    _check_maximum_length(model, presentation, task.recipe)
    custom.check_model(recipe=task.recipe, model=model)
    check_stage_model(task.recipe, model, presentation)
    check_size(spec, parameters(model))
    return parameters(model)


def _check_causality(model: SequenceModel, presentation: Presentation) -> None:
    if presentation.mode == "generate" and not model.causal:
        raise NotApplicable("not causal: in mode generate the model would read the answer")
    if presentation.mode == "tag" and presentation.task.online and not model.online:
        raise NotApplicable("not online: the model could read the labels from later source tokens")


def _check_maximum_length(model: SequenceModel, presentation: Presentation, recipe: Recipe) -> None:
    longest = train_lengths(presentation.task, recipe)[-1]
    positions = presentation.stream_length(longest)
    if model.reach is not None and positions > model.reach:
        raise NotApplicable(f"training length {longest} takes {positions} positions, beyond its reach of {model.reach}")


def _evaluated_lengths(plan: Plan) -> dict[tuple[str, str, str], tuple[int, ...]]:
    """Return the lengths at which cells are evaluated, by (architecture, task, variant)."""
    return {
        (str(pair.architecture), str(pair.task.task), variant.name): variant.lengths
        for pair in plan.pairs
        for variant in pair.task.variants
    }
