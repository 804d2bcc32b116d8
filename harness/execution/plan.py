"""The plan: a suite made concrete. Which cells there are, what cannot be asked of whom, and where each is evaluated."""

from dataclasses import dataclass, field
from functools import cached_property, partial

import torch

from architectures.base import SequenceModel
from harness.config.cell import Cell
from harness.config.claims import canonical
from harness.config.lengths import even_grid, parse_grid
from harness.config.recipe import Recipe, make_recipe
from harness.config.suite import Evaluation, Suite, TaskEntry
from harness.data.batches import train_lengths
from harness.data.presentation import NotApplicable, Presentation
from harness.errors import UserError, nearest
from harness.execution.parameter_matching import TOLERANCE, parse_match, solve_width
from harness.models.cost import parameters
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model, build_task, options_of

IN_RANGE_POINTS = 5


@dataclass(frozen=True)
class Variant:
    """Where cells of a task are evaluated: the task itself (``name`` empty) or a variant of it."""

    name: str
    task: Spec
    lengths: tuple[int, ...]

    def key(self, length: int, step: int, samples: int) -> tuple[str, str, int, int, int]:
        """Return the ``EvaluationRecord.key`` that the evaluation at a length and checkpoint will have."""
        return self.name, str(self.task), length, step, samples


@dataclass(frozen=True)
class Question:
    """A task of the plan: spec, recipe, and the variants its cells are evaluated on."""

    task: Spec
    recipe: Recipe
    variants: tuple[Variant, ...]


@dataclass
class Plan:
    """Cells in order, with everything the launcher and the report need to know about them."""

    suite: Suite
    catalog: Catalog
    architectures: list[Spec]
    questions: list[Question]
    not_applicable: list[tuple[Spec, Spec, str]] = field(default_factory=list)
    sizes: dict[tuple[Spec, Spec], int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    pairs: list[tuple[Spec, Question]] = field(default_factory=list)

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell once, task by task, so that whole comparisons finish early."""
        rates, seeds = self.suite.learning_rates, range(self.suite.seeds)
        return list(
            dict.fromkeys(
                Cell(architecture, question.task, question.recipe, rate, seed)
                for architecture, question in self.pairs
                for rate in rates
                for seed in seeds
            )
        )

    @cached_property
    def variants(self) -> dict[tuple[Spec, Recipe], tuple[Variant, ...]]:
        """Where the cells of (task, recipe) are evaluated."""
        return {(question.task, question.recipe): question.variants for question in self.questions}


def make_plan(suite: Suite, catalog: Catalog) -> Plan:
    """Make a suite concrete; raise :class:`UserError` for anything in it that cannot be."""
    specs = [
        Spec.parse("architecture", text, catalog).with_defaults(suite.model, catalog) for text in suite.architectures
    ]
    _check_model_options(suite, catalog, specs)
    plan = Plan(suite, catalog, list(dict.fromkeys(specs)), [])
    _check_evaluations(suite, catalog)
    plan.questions = [_question(entry, suite, catalog, plan.notes) for entry in suite.tasks]
    asked = [_asked(entry, plan) for entry in suite.tasks]
    if suite.match:
        plan.architectures = [_matched(spec, plan) for spec in plan.architectures]
    for question, places in zip(plan.questions, asked, strict=True):
        for place in places:
            _pair(plan.architectures[place], question, plan)
    _check_known(plan)
    if not plan.pairs:
        raise UserError("nothing to train: " + "; ".join(f"{a} on {t}: {why}" for a, t, why in plan.not_applicable))
    return plan


def _asked(entry: TaskEntry, plan: Plan) -> list[int]:
    """Return which architectures of the plan a task is for, by their places."""
    known = {str(spec): place for place, spec in enumerate(plan.architectures)}
    if entry.architectures is None:
        return list(known.values())
    for text in entry.architectures:
        if (name := _label(text, plan)) not in known:
            raise UserError(f"task {entry.task}: {text!r} is no architecture of this suite{nearest(name, known)}")
    return sorted({known[_label(text, plan)] for text in entry.architectures})


def _label(text: str, plan: Plan) -> str:
    return str(Spec.parse("architecture", text, plan.catalog).with_defaults(plan.suite.model, plan.catalog))


def _question(entry: TaskEntry, suite: Suite, catalog: Catalog, notes: list[str]) -> Question:
    spec = Spec.parse("task", entry.task, catalog)
    recipe = make_recipe(suite.recipe | entry.overrides, f"recipe of {spec}" if entry.overrides else "recipe")
    lengths = _test_lengths(spec, recipe, entry.test_lengths or suite.test_lengths, catalog, notes)
    evaluations = [_variant(each, spec, catalog, notes) for each in suite.evaluation if _concerns(each, spec, catalog)]
    return Question(spec, recipe, (Variant("", spec, lengths), *evaluations))


def _concerns(evaluation: Evaluation, spec: Spec, catalog: Catalog) -> bool:
    """Whether the cells of a task are evaluated there too."""
    if evaluation.of:
        return Spec.parse("task", evaluation.of, catalog) == spec
    return Spec.parse("task", evaluation.task, catalog).name == spec.name


def _variant(evaluation: Evaluation, spec: Spec, catalog: Catalog, notes: list[str]) -> Variant:
    other = Spec.parse("task", evaluation.task, catalog)
    _same_alphabet(spec, other, catalog)
    asked = parse_grid(evaluation.test_lengths, "test lengths")
    return Variant(evaluation.name, other, tuple(_had(other, asked, catalog, notes)))


def _test_lengths(spec: Spec, recipe: Recipe, text: str, catalog: Catalog, notes: list[str]) -> tuple[int, ...]:
    """Return the lengths a cell is evaluated at: a few training lengths, then those asked for."""
    task = build_task(spec, catalog)
    known = train_lengths(task, recipe)
    low, high = recipe.span
    if not known:
        raise UserError(
            f"task {spec} has no length in train lengths {recipe.train_lengths}; it has {_words(task.lengths)}"
        )
    asked = parse_grid(text, "test lengths")
    inside = [length for length in asked if low <= length <= high]
    if inside:
        raise UserError(
            f"task {spec}: test length {inside[0]} lies inside the training lengths {recipe.train_lengths}, "
            f"which are evaluated anyway; test beyond, for example {high + 1}:{5 * high}"
        )
    within = [known[i] for i in even_grid(0, len(known) - 1, IN_RANGE_POINTS)]
    return tuple(sorted({*within, *_had(spec, asked, catalog, notes)}))


def _had(spec: Spec, asked: list[int], catalog: Catalog, notes: list[str]) -> list[int]:
    """Return the lengths the task has; say which are skipped."""
    lengths = build_task(spec, catalog).lengths
    missing = [length for length in asked if length not in lengths]
    if missing:
        shown = ", ".join(map(str, missing[:8])) + (", ..." if len(missing) > 8 else "")
        notes.append(f"{spec} has no length {shown}; skipped (it has {_words(lengths)})")
    if len(missing) == len(asked):
        raise UserError(f"task {spec} has none of the test lengths; it has {_words(lengths)}")
    return [length for length in asked if length in lengths]


def _words(lengths: range) -> str:
    step = f" in steps of {lengths.step}" if lengths.step != 1 else ""
    return f"{lengths[0]} to {lengths[-1]}{step}"


def _same_alphabet(spec: Spec, other: Spec, catalog: Catalog) -> None:
    if build_task(spec, catalog).symbols != build_task(other, catalog).symbols:
        raise UserError(
            f"evaluation {other}: its alphabet differs from that of {spec}, so no model of {spec} can take it; "
            "`of` limits an evaluation to one entry"
        )


def _check_model_options(suite: Suite, catalog: Catalog, specs: list[Spec]) -> None:
    """An option for all architectures must be one of at least one of them."""
    known = {name for spec in specs for name in options_of(catalog.find("architecture", spec.name))}
    for key in suite.model:
        if key not in known:
            raise UserError(f"[model] {key}: no architecture of this suite has that option{nearest(key, known)}")


def _check_evaluations(suite: Suite, catalog: Catalog) -> None:
    """A variant must be one of a task of this suite, and of an entry of that task if it says so."""
    specs = [Spec.parse("task", entry.task, catalog) for entry in suite.tasks]
    names = {spec.name for spec in specs}
    for each in suite.evaluation:
        what, name = f"evaluation {each.name!r}", Spec.parse("task", each.task, catalog).name
        if name not in names:
            raise UserError(f"{what}: no task of this suite is a {each.task}{nearest(each.task, names)}")
        entries = {str(spec) for spec in specs if spec.name == name}
        if each.of and str(Spec.parse("task", each.of, catalog)) not in entries:
            raise UserError(f"{what}: of={each.of!r} is no {name} of this suite{nearest(each.of, entries)}")


def _check_known(plan: Plan) -> None:
    """A known result must be about models of this suite, at a length at which they are evaluated."""
    grids = {
        (str(architecture), str(question.task), variant.name): variant.lengths
        for architecture, question in plan.pairs
        for variant in question.variants
    }
    for known in (canonical(each, partial(_label, plan=plan), plan.catalog) for each in plan.suite.known):
        for each in known.expect:
            for name in filter(None, (each.architecture, each.above)):
                task = each.task or known.task
                lengths = grids.get((name, task, each.variant))
                pair = f"known result {known.claim!r}: {name} on {task}"
                if lengths is None:
                    raise UserError(f"{pair} {each.variant}".rstrip() + " is not in this suite")
                if each.at not in lengths:
                    raise UserError(f"{pair} is not evaluated at {each.at}, but at {', '.join(map(str, lengths))}")


def _matched(spec: Spec, plan: Plan) -> Spec:
    target = parse_match(plan.suite.match)
    symbols = Presentation(build_task(plan.questions[0].task, plan.catalog)).symbols
    solved, size = solve_width(spec, symbols, target, plan.catalog)
    off = size / target - 1
    warning = "" if abs(off) <= TOLERANCE else f", more than {TOLERANCE:.0%} off"
    plan.notes.append(f"matched: {solved} has {size:,} parameters ({off:+.1%}{warning})")
    return solved


def _pair(spec: Spec, question: Question, plan: Plan) -> None:
    """Add the pair to the plan, or the reason why it cannot be."""
    task = build_task(question.task, plan.catalog)
    try:
        presentation = Presentation(task, question.recipe.answer, question.recipe.think)
        model = _unallocated(spec, presentation.symbols, plan.catalog)
        _check_causality(model, presentation)
        _check_reach(model, presentation, question.recipe)
    except NotApplicable as reason:
        plan.not_applicable.append((spec, question.task, str(reason)))
        return
    except UserError:
        raise
    except Exception as error:
        # Its cells will fail, with the reason on record, and the rest goes on.
        plan.notes.append(f"{spec} on {question.task} raises {type(error).__name__}: {error}")
    else:
        plan.sizes[spec, question.task] = parameters(model)
    plan.pairs.append((spec, question))


def _unallocated(spec: Spec, symbols: tuple[str, ...], catalog: Catalog) -> SequenceModel:
    """Build a model without its memory; in memory where its constructor needs real numbers."""
    try:
        with torch.device("meta"):
            return build_model(spec, symbols, catalog)
    except UserError:
        raise
    except Exception:
        return build_model(spec, symbols, catalog)


def _check_causality(model: SequenceModel, presentation: Presentation) -> None:
    if presentation.way == "generate" and not model.causal:
        raise NotApplicable("not causal: asked to generate it would read the answer")
    if presentation.way == "tag" and presentation.task.online and not model.online:
        raise NotApplicable("not online: the labels give away later source tokens")


def _check_reach(model: SequenceModel, presentation: Presentation, recipe: Recipe) -> None:
    """Training must lie within the model's reach."""
    longest = train_lengths(presentation.task, recipe)[-1]
    taken = presentation.stream_length(longest)
    if model.reach is not None and taken > model.reach:
        raise NotApplicable(f"training length {longest} takes {taken} positions, beyond its reach of {model.reach}")
