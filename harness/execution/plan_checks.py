"""Checks of a plan: the parts of the suite belong together, and models and tasks keep the contract."""

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from torch.nn.parameter import UninitializedParameter

from architectures.base import Mixer, SequenceModel
from harness.config.claims import Claim, with_canonical_specs
from harness.config.recipe import Recipe, is_import_path
from harness.config.suite import Suite, TaskEntry
from harness.data.batches import unasked_shares
from harness.data.presentation import NotApplicable, Presentation
from harness.data.rng import Purpose, Stream
from harness.errors import UserError, suggest
from harness.execution import contract
from harness.models.tensors import obstacle
from harness.registry.catalog import PACKAGES, Catalog
from harness.registry.fingerprint import named_entries
from harness.registry.limits import MOST_PARAMETERS
from harness.registry.options import Spec, options_of
from tasks.base import IGNORE, Task

ROWS = 8
"""Questions in each sample of a user's task."""
LONGEST = 1 << 10
"""Longer lengths are not sampled in the plan."""


def check_model_options(suite: Suite, architectures: Iterable[Spec]) -> None:
    """Raise :class:`UserError` for a key of ``[model]`` that is no option of any architecture of the suite."""
    options = {name for spec in architectures for name in options_of(spec.entry)}
    for key in suite.model:
        if key not in options:
            raise UserError(f"[model] {key}: no architecture of this suite has that option{suggest(key, options)}")


def check_evaluations(suite: Suite, catalog: Catalog) -> None:
    """Raise :class:`UserError` for an evaluation of a task, or of an entry, that the suite does not have."""
    specs = [Spec.parse("task", entry.task, catalog) for entry in suite.tasks]
    names = {spec.name for spec in specs}
    for evaluation in suite.evaluation:
        what, name = f"evaluation {evaluation.name!r}", Spec.parse("task", evaluation.task, catalog).name
        if name not in names:
            raise UserError(f"{what}: no task of this suite is a {evaluation.task}{suggest(evaluation.task, names)}")
        entries = {str(spec) for spec in specs if spec.name == name}
        if evaluation.of and str(Spec.parse("task", evaluation.of, catalog)) not in entries:
            hint = suggest(evaluation.of, entries)
            raise UserError(f"{what}: of={evaluation.of!r} is no {name} of this suite{hint}")


def check_model(spec: Spec, model: SequenceModel) -> None:
    """Raise :class:`UserError` if a model cannot be trained and stored as its author made it.

    A parameter without a shape raises a plain error instead: its cells fail, and other architectures are trained.
    """
    if reason := obstacle(model):
        if any(isinstance(parameter, UninitializedParameter) for parameter in model.parameters()):
            raise ValueError(reason)
        raise UserError(f"architecture {spec}: {reason}")


def unasked_warning(spec: Spec, recipe: Recipe) -> str:
    """Return a warning if some training batches of a task ask for nothing; empty if hardly any does.

    Raises :class:`UserError` if no batch of a training length asks for anything.
    """
    try:
        presentation = Presentation.of(spec, recipe)
    except NotApplicable:
        return ""
    if presentation.mode == "generate":  # END is always asked
        return ""
    shares = unasked_shares(presentation, str(spec), recipe)
    if empty := [length for length, share in shares.items() if share == 1]:
        raise UserError(
            f"task {spec} asks for nothing at training length {empty[0]} in mode {presentation.mode}: every target is "
            f"IGNORE; let solve return targets, or choose train lengths that have some"
        )
    expected = recipe.steps * sum(share**recipe.batch_size for share in shares.values()) / len(shares)
    if expected < 1:
        return ""
    return (
        f"{spec}: about {expected:,.0f} of {recipe.steps:,} training batches ask for nothing, because all targets are "
        f"IGNORE; the loss of such a batch is 0. A batch_size above {recipe.batch_size} makes them rarer"
    )


def check_names(task: Spec, names: Sequence[str]) -> None:
    """Raise :class:`UserError` for two evaluations of one task with the same name, whose scores would be merged."""
    for name in names:
        if names.count(name) > 1:
            raise UserError(f"evaluation {name!r}: two evaluations of {task} have this name; rename one of them")


def check_size(architecture: Spec, parameters: int) -> None:
    """Raise :class:`UserError` for a model that fits into the memory of no device."""
    if parameters > MOST_PARAMETERS:
        most = f"{MOST_PARAMETERS:,}; choose a smaller width or depth"
        raise UserError(f"architecture {architecture} has {parameters:,} parameters, and at most {most}")


def repeated_architectures(suite: Suite, specs: Mapping[str, Spec]) -> Iterator[str]:
    """Yield a note on each architecture that the suite names more than once, given the spec of each text."""
    first: dict[Spec, str] = {}
    for text in suite.architectures:
        if specs[text] in first:
            same = "is given twice" if first[specs[text]] == text else f"is the same as {first[specs[text]]}"
            yield f"architecture {text} {same}; it is trained once"
        first.setdefault(specs[text], text)


def repeated_tasks(suite: Suite, planned: Sequence[tuple[Spec, Recipe]]) -> Iterator[str]:
    """Yield a note on each task that the suite names more than once with one recipe.

    Raises :class:`UserError` if such entries have different test lengths, because only those of one would be used.
    """
    first: dict[tuple[Spec, Recipe], TaskEntry] = {}
    for entry, key in zip(suite.entries, planned, strict=True):
        other = first.setdefault(key, entry)
        if other is entry:
            continue
        lengths = [suite.test_lengths if e.test_lengths is None else e.test_lengths for e in (other, entry)]
        if lengths[0] != lengths[1]:
            raise UserError(
                f"task {entry.task} is given twice with the same recipe and the test lengths {lengths[0]} and "
                f"{lengths[1]}; write one entry with all of them"
            )
        if other.architectures == entry.architectures:
            same = "is given twice" if other.task == entry.task else f"is the same as {other.task}"
            yield f"task {entry.task} {same}; it is trained once"


def warm_up_note(task: Spec, recipe: Recipe) -> str:
    """Return a note if training ends within the warm-up of a built-in schedule; otherwise an empty text."""
    if recipe.warmup <= recipe.steps or is_import_path(recipe.schedule):
        return ""
    return (
        f"{task}: the warm-up of {recipe.warmup} steps is longer than the training of {recipe.steps}, so the learning "
        f"rate ends at {recipe.steps / recipe.warmup:.0%} of its peak; set warmup below steps to reach it"
    )


def check_claims(
    claims: Iterable[Claim],
    evaluated: Mapping[tuple[str, str, str], Sequence[int]],
    label: Callable[[str], str],
    catalog: Catalog,
) -> None:
    """Raise :class:`UserError` for a claim about models or lengths that are not evaluated.

    Args:
        claims: the claims of the suite.
        evaluated: the lengths by (architecture, task, variant).
        label: returns the name that ``evaluated`` has for an architecture.
    """
    for claim in (with_canonical_specs(each, label, catalog) for each in claims):
        for expected in claim.expect:
            for name in expected.compared:
                task = expected.task or claim.task
                lengths = evaluated.get((name, task, expected.variant))
                pair = f"known result {claim.claim!r}: {name} on {task}"
                if lengths is None:
                    raise UserError(f"{pair} {expected.variant}".rstrip() + " is not in this suite")
                if expected.at not in lengths:
                    raise UserError(f"{pair} is not evaluated at {expected.at}, but at {', '.join(map(str, lengths))}")


def check_classes(spec: Spec) -> None:
    """Raise :class:`UserError` for a wrong class attribute of a user's architecture or task, or of its layers."""
    for entry in named_entries(spec):
        if entry.origin != "built-in":
            _raise_first(entry.cls, contract.declaration_problems(entry.cls))


def check_instance(thing: Task | SequenceModel) -> None:
    """Raise :class:`UserError` for a wrong attribute of a user's task or model, or of a layer of the model."""
    parts = thing.modules() if isinstance(thing, SequenceModel) else [thing]
    for part in parts:
        is_built_in = type(part).__module__.partition(".")[0] in PACKAGES.values()
        if isinstance(part, Task | Mixer | SequenceModel) and not is_built_in:
            _raise_first(type(part), contract.declaration_problems(part))


def check_questions(spec: Spec, presentation: Presentation, lengths: Sequence[int]) -> None:
    """Raise :class:`UserError` if the questions or answers of a user's task are wrong at some of its lengths."""
    if spec.entry.origin == "built-in":
        return
    sampled = [length for length in lengths if length <= LONGEST] or lengths[:1]
    for length in sampled:
        _raise_first(type(presentation.task), _question_problems(spec, presentation, length, length == sampled[-1]))


def _question_problems(spec: Spec, presentation: Presentation, length: int, last: bool) -> Iterator[str]:
    """Yield what is wrong with the questions and answers of one length."""
    task = presentation.task
    source, same = (task.sample(length, Stream.of([0], str(spec), Purpose.CHECK, length, ROWS, "cpu")) for _ in "12")
    yield from contract.shape_problems("sample", source, ROWS, length)
    yield from contract.id_problems("sample", source, len(task.symbols), length)
    yield from contract.sampling_problems(source, same)
    original = source.clone()
    target, repeated = task.solve(source), task.solve(source)
    yield from contract.shape_problems("solve", target, ROWS, length)
    yield from contract.id_problems("solve", target[target != IGNORE], len(task.symbols), length)
    yield from contract.purity_problems(original, source, target, repeated)
    yield from contract.label_problems(task, source, target)
    yield from contract.target_problems(task, target, length)
    yield from contract.mode_problems(presentation, source, length)
    if last:
        yield from contract.empty_problems(target, length)
    if presentation.graded_by_task:
        yield from contract.grade_problems(task, source, target, length)
        if last:
            yield from contract.tolerance_problems(task, source, target)


def _raise_first(cls: type, problems: Iterator[str]) -> None:
    problem = next(problems, "")
    if problem:
        module = sys.modules.get(cls.__module__)
        raise UserError(f"class {cls.__name__} ({getattr(module, '__file__', cls.__module__)}): {problem}")
