"""The contract of architectures and tasks as checks that anyone can run: ``lengthwise check NAME``, and the tests.

A check is a function of a subject (:mod:`harness.check.subject`). It returns, or raises
:class:`~harness.check.outcome.Broken` with plain words, or :class:`~harness.check.outcome.Skip`. Two tables name all
of them; whoever adds a check adds a line.
"""

from collections.abc import Iterator

from harness.catalog import Catalog, Entry
from harness.check import behaviour, declarations, devices, forms, learning, questions, replay
from harness.check.outcome import Broken, Check, Result, Skip, run_check
from harness.check.subject import ModelSubject, TaskSubject, variants
from harness.options import Value

__all__ = [
    "ARCHITECTURE_CHECKS",
    "TASK_CHECKS",
    "Broken",
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
    "shapes": behaviour.gives_the_right_shapes,
    "rows": behaviour.keeps_rows_apart,
    "repeatable": behaviour.is_repeatable,
    "reads": behaviour.reads_its_source,
    "causal": behaviour.does_not_look_ahead,
    "online": behaviour.tags_online,
    "long": behaviour.goes_past_training,
    "gradients": learning.every_parameter_learns,
    "device": devices.stays_on_its_device,
    "kernels": forms.kernels_agree,
    "steps": forms.steps_like_the_whole,
    "state": declarations.has_a_measurable_state,
    "inspection": declarations.shows_weights,
    "population": forms.population_equals_its_members,
    "divergence": forms.divergence_stays_alone,
    "replay": replay.replays,
    "overfits": learning.learns_one_batch,
}

TASK_CHECKS: dict[str, Check] = {
    "documented": questions.is_documented,
    "alphabet": questions.symbols_are_fit,
    "examples": questions.examples_are_true,
    "shapes": questions.shapes_are_right,
    "lengths": questions.has_its_lengths,
    "legal": questions.tokens_are_legal,
    "asked": questions.answers_end_once,
    "ways": questions.every_way_asks,
    "rows": questions.rows_are_their_own,
    "batches": questions.data_do_not_depend_on_the_batch,
    "stream": questions.questions_come_from_the_stream,
    "pure": questions.solving_is_pure,
    "vary": questions.answers_vary,
    "grade": questions.grades_are_fair,
    "presented": questions.can_be_presented,
    "device": devices.makes_data_there,
    "replay": replay.draws_again,
}


def checks_of(entry: Entry) -> dict[str, Check]:
    """Return the checks for an entry's kind, by name."""
    return ARCHITECTURE_CHECKS if entry.kind == "architecture" else TASK_CHECKS


def subject_of(entry: Entry, catalog: Catalog, **options: Value) -> ModelSubject | TaskSubject:
    """Return what the checks of an entry look at; ``options`` are those that differ from their defaults."""
    make = ModelSubject if entry.kind == "architecture" else TaskSubject
    return make(entry, catalog, options)


def run_checks(entry: Entry, catalog: Catalog) -> Iterator[Result]:
    """Make every check of an entry, in the order of the table.

    Raises :class:`~harness.errors.UserError` where the file of the entry does not import or defines nothing.
    """
    subject = subject_of(entry, catalog)
    _ = entry.cls
    for name, check in checks_of(entry).items():
        yield run_check(name, check, subject)
