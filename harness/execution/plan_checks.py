"""Checks that the parts of a suite belong together: options for all models, evaluations, published claims."""

from collections.abc import Callable, Iterable, Mapping, Sequence

from harness.config.claims import Claim, with_canonical_specs
from harness.config.suite import Suite
from harness.errors import UserError, suggest
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, options_of


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
