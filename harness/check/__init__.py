"""The contract of architectures and tasks as checks that anyone can run: ``lengthwise check NAME``, and the tests.

A check is a function of a subject (:mod:`harness.check.fixtures`). It returns, or raises
:class:`~harness.check.result.CheckFailed` with plain words, or :class:`~harness.check.result.Skip`. Two tables name all
of them; whoever adds a check adds a line.
"""

from collections.abc import Iterator

from harness.check import declarations, devices, equivalence, graph_replay, learning, model_invariants, task_invariants
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
    "builds": declarations.builds,
    "records": declarations.records_its_kernels,
    "shapes": model_invariants.gives_the_right_shapes,
    "rows": model_invariants.keeps_rows_apart,
    "repeatable": model_invariants.is_repeatable,
    "reads": model_invariants.reads_its_source,
    "causal": model_invariants.does_not_look_ahead,
    "online": model_invariants.tags_online,
    "long": model_invariants.goes_past_training,
    "gradients": learning.every_parameter_learns,
    "device": devices.stays_on_its_device,
    "kernels": equivalence.kernels_agree,
    "steps": equivalence.steps_like_the_whole,
    "state": declarations.has_a_measurable_state,
    "inspection": declarations.shows_weights,
    "population": equivalence.population_equals_its_members,
    "divergence": equivalence.divergence_stays_alone,
    "replay": graph_replay.replays,
    "overfits": learning.learns_one_batch,
}

TASK_CHECKS: dict[str, Check] = {
    "documented": task_invariants.is_documented,
    "alphabet": task_invariants.symbols_are_fit,
    "examples": task_invariants.examples_are_true,
    "shapes": task_invariants.shapes_are_right,
    "lengths": task_invariants.has_its_lengths,
    "legal": task_invariants.tokens_are_legal,
    "asked": task_invariants.answers_end_once,
    "ways": task_invariants.every_way_asks,
    "rows": task_invariants.rows_are_their_own,
    "batches": task_invariants.data_do_not_depend_on_the_batch,
    "stream": task_invariants.questions_come_from_the_stream,
    "pure": task_invariants.solving_is_pure,
    "vary": task_invariants.answers_vary,
    "grade": task_invariants.grades_are_fair,
    "presented": task_invariants.can_be_presented,
    "device": devices.makes_data_there,
    "replay": graph_replay.draws_again,
}


def checks_of(entry: Entry) -> dict[str, Check]:
    """Return the checks for an entry's kind, by name."""
    return ARCHITECTURE_CHECKS if entry.kind == "architecture" else TASK_CHECKS


def subject_of(spec: Spec) -> ModelSubject | TaskSubject:
    """Return what the checks of a spec look at."""
    return ModelSubject(spec) if spec.kind == "architecture" else TaskSubject(spec)


def run_checks(spec: Spec) -> Iterator[Result]:
    """Make every check of a spec, in the order of the table.

    Raises :class:`~harness.errors.UserError` where the file of the entry does not import or defines nothing.
    """
    subject = subject_of(spec)
    spec.entry.load()
    for name, check in checks_of(spec.entry).items():
        yield run_check(name, check, subject)
