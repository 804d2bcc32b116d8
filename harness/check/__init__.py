"""Checks of the contract of architectures and tasks, run by ``lengthwise check NAME`` and by the tests.

A check is a function of a subject (:mod:`harness.check.fixtures`). It returns if the contract holds, and raises
:class:`~harness.check.result.CheckFailed` with an explanation if it does not. It raises
:class:`~harness.check.result.Skip` if it does not apply. Two tables list all checks; a new check needs a line in one.
"""

from collections.abc import Iterator

from harness.check import (
    declarations,
    devices,
    equivalence,
    graph_replay,
    learning,
    model_invariants,
    saving,
    shortcuts,
    task_invariants,
)
from harness.check.fixtures import ModelSubject, TaskSubject, variants
from harness.check.result import Check, CheckFailed, Result, Skip, run_check
from harness.registry.catalog import Entry
from harness.registry.options import Spec

__all__ = [
    "ARCHITECTURE_CHECKS",
    "TASK_CHECKS",
    "CheckFailed",
    "ModelSubject",
    "Result",
    "Skip",
    "TaskSubject",
    "checks_of",
    "run_check",
    "run_checks",
    "subject_of",
    "variants",
]

ARCHITECTURE_CHECKS: dict[str, Check] = {
    "documented": declarations.is_documented,
    "declared": declarations.declares_valid_attributes,
    "builds": declarations.can_be_built,
    "tensors": saving.tensors_can_be_kept,
    "records": declarations.records_its_kernels,
    "shapes": model_invariants.logits_have_the_right_shape,
    "rows": model_invariants.rows_are_independent,
    "repeatable": model_invariants.is_repeatable,
    "reads": model_invariants.depends_on_its_source,
    "causal": model_invariants.is_causal,
    "online": model_invariants.is_online,
    "long": model_invariants.is_finite_beyond_training,
    "gradients": learning.trains_every_parameter,
    "device": devices.computes_on_one_device,
    "kernels": equivalence.kernels_agree,
    "steps": equivalence.steps_equal_forward,
    "prefill": equivalence.prefill_equals_steps,
    "saved": saving.survives_saving,
    "state": declarations.has_a_measurable_state,
    "inspection": declarations.shows_weights,
    "population": equivalence.population_equals_its_members,
    "divergence": equivalence.divergence_does_not_spread,
    "replay": graph_replay.training_can_be_replayed,
    "overfits": learning.overfits_one_batch,
}

TASK_CHECKS: dict[str, Check] = {
    "documented": task_invariants.is_documented,
    "alphabet": task_invariants.alphabet_is_valid,
    "examples": task_invariants.examples_are_correct,
    "shapes": task_invariants.shapes_are_right,
    "lengths": task_invariants.tokens_grow_with_length,
    "legal": task_invariants.token_ids_are_valid,
    "asked": task_invariants.targets_have_no_gaps,
    "ways": task_invariants.every_answer_mode_has_targets,
    "rows": task_invariants.rows_are_independent,
    "batches": task_invariants.data_do_not_depend_on_the_batch,
    "stream": task_invariants.sources_come_from_the_stream,
    "pure": task_invariants.solve_is_pure,
    "vary": task_invariants.targets_vary,
    "shortcuts": shortcuts.no_simple_reader_answers,
    "grade": task_invariants.grade_tells_right_from_wrong,
    "presented": task_invariants.can_be_presented,
    "device": devices.makes_data_on_one_device,
    "replay": graph_replay.data_can_be_replayed,
}


RULES_OF_CLASSES = ("documented", "examples")
"""Checks of what the author of a class writes. The class of a RASP-L program is made by the harness."""
PROGRAM_CHECKS: dict[str, Check] = {"program": task_invariants.program_keeps_the_rules}


def checks_of(entry: Entry) -> dict[str, Check]:
    """Return the checks for an entry's kind, by name."""
    if entry.function:
        return PROGRAM_CHECKS | {name: c for name, c in TASK_CHECKS.items() if name not in RULES_OF_CLASSES}
    return ARCHITECTURE_CHECKS if entry.kind == "architecture" else TASK_CHECKS


def subject_of(spec: Spec) -> ModelSubject | TaskSubject:
    """Return the subject that the checks of a spec take."""
    return ModelSubject(spec) if spec.kind == "architecture" else TaskSubject(spec)


def run_checks(spec: Spec) -> Iterator[Result]:
    """Run every check of a spec, in the order of the table.

    A RASP-L program that breaks a rule fails one check: what the others would say follows from the same error.

    Raises :class:`~harness.errors.UserError` if the file of the entry cannot be imported or defines nothing.
    """
    subject = subject_of(spec)
    spec.entry.load()
    for name, check in checks_of(spec.entry).items():
        yield (result := run_check(name, check, subject))
        if spec.entry.function and not result.ok:
            return
