"""Checks that hold for every task: correct examples, valid symbols, independent rows, correct grades.

``sample`` draws sources, and ``solve`` returns their targets.
"""

from itertools import pairwise

import torch
from torch import Tensor

from harness.check.fixtures import TaskSubject, docstring_of, pad_to
from harness.check.result import CheckFailed, Skip, expect, expect_none
from harness.data.presentation import NotApplicable, Presentation
from harness.data.rng import Stream
from harness.execution import contract
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Answer, decode, encode, worked_examples

ANSWER_MODES: tuple[Answer, ...] = ("generate", "readout", "tag")
SHORT = 512
"""Up to this length the longest source of a task is tried too."""


def is_documented(subject: TaskSubject) -> None:
    """The file and its class have docstrings, and ``paper`` says where a built-in task comes from."""
    docstring_of(subject.entry.cls)
    has_paper = bool(subject.task.paper) or subject.entry.origin != "built-in"
    expect(has_paper, "paper is empty; set it to the paper that the task comes from")


def program_keeps_the_rules(subject: TaskSubject) -> None:
    """The program keeps the rules of RASP-L, and each answer has a token and an end."""
    build_task(subject.spec)


def examples_are_correct(subject: TaskSubject) -> None:
    """The class docstring has worked examples, and ``solve`` gives their targets."""
    examples = list(worked_examples(subject.entry.cls))
    expect(bool(examples), "the class docstring has no worked examples; add lines like `1 0 1 -> 0` after `Examples:`")
    for example in examples:
        spec = Spec.parse("task", f"{subject.entry.name}:{example.options}".removesuffix(":"), subject.spec.catalog)
        task = build_task(spec)
        foreign = sorted({*example.source, *example.answer} - {*task.symbols, "."})
        expect(not foreign, f"example `{example}`: {', '.join(foreign)} must be among the symbols")
        target = decode(task.symbols, task.solve(encode(task.symbols, example.source))[0])
        expect(target == example.answer, f"example `{example}`: solve returns `{' '.join(target)}`")


def alphabet_is_valid(subject: TaskSubject) -> None:
    """Symbols are distinct words, lengths a rising range, and all other class attributes have a valid value."""
    expect_none(contract.declaration_problems(subject.entry.cls))
    expect_none(contract.declaration_problems(subject.task))


def shapes_are_right(subject: TaskSubject) -> None:
    """At every length, ``sample`` and ``solve`` return one row for each row of the stream."""
    for length in subject.lengths:
        source = subject.sources(length, 5)
        target = subject.task.solve(source)
        for function, tensor in (("sample", source), ("solve", target)):
            expect_none(contract.shape_problems(function, tensor, 5, length))
        expect_none(contract.label_problems(subject.task, source, target))


def tokens_grow_with_length(subject: TaskSubject) -> None:
    """Source and target together grow with the length, and the longest length of a short range can be drawn."""
    widths = [_tokens(subject, length) for length in subject.lengths]
    for (length, width), (longer, wider) in pairwise(zip(subject.lengths, widths, strict=True)):
        message = f"source and target have {width} tokens at length {length} and {wider} at length {longer}"
        expect(wider > width, f"{message}; their number must grow with the length")
    if subject.task.lengths[-1] <= SHORT:
        _tokens(subject, subject.task.lengths[-1])


def _tokens(subject: TaskSubject, length: int) -> int:
    """Return the tokens of a source and its target."""
    try:
        source = subject.sources(length, 2)
        return source.shape[1] + subject.task.solve(source).shape[1]
    except Exception as error:
        raise CheckFailed(
            f"length {length} is in lengths, but raises {type(error).__name__}: {error}; leave it out of lengths"
        ) from error


def token_ids_are_valid(subject: TaskSubject) -> None:
    """Sources hold ids of symbols, and targets hold ids of symbols or ``IGNORE``."""
    size = len(subject.task.symbols)
    for length in subject.lengths:
        source = subject.sources(length)
        target = subject.task.solve(source)
        for function, ids in (("sample", source), ("solve", target[target != IGNORE])):
            expect_none(contract.id_problems(function, ids, size, length))


def targets_have_no_gaps(subject: TaskSubject) -> None:
    """Every row has a target, and a generated target has ``IGNORE`` only after its last token."""
    for length in subject.lengths:
        target = subject.task.solve(subject.sources(length))
        expect_none(contract.target_problems(subject.task, target, length))


def every_answer_mode_has_targets(subject: TaskSubject) -> None:
    """In every answer mode that the task supports, most rows have a target."""
    for mode in ANSWER_MODES:
        try:
            presentation = Presentation(subject.task, mode)
        except NotApplicable:
            continue
        for length in subject.lengths:
            expect_none(contract.mode_problems(presentation, subject.sources(length), length))


def rows_are_independent(subject: TaskSubject) -> None:
    """A row has the same source and target alone, in a batch, and at any place in the batch."""
    for length in subject.lengths:
        keys, source = subject.stream(8).keys, subject.sources(length, 8)
        target = subject.task.solve(source)
        reversed_target = subject.task.solve(source.flip(0))
        is_moved = torch.equal(reversed_target, target.flip(0))
        expect(is_moved, f"solve at length {length}: reversing the rows must reverse the targets")
        for row in range(8):
            sampled = subject.task.sample(length, Stream(keys[[row]]))
            expect(torch.equal(sampled, source[[row]]), f"sample at length {length}: row {row} depends on the others")
            alone = pad_to(subject.task.solve(source[[row]]), target.shape[1])
            expect(torch.equal(alone, target[[row]]), f"solve at length {length}: row {row} depends on the others")


def data_do_not_depend_on_the_batch(subject: TaskSubject) -> None:
    """A seed draws the same sources at any batch size and, bit for bit, in a population."""
    sample, length, seeds = subject.task.sample, subject.middle, (3, 5, 7)
    small, large = (sample(length, subject.stream(rows)) for rows in (4, 12))
    expect(torch.equal(small, large[:4]), "4 rows are not the first 4 of 12: sample depends on the batch size")
    together = sample(length, subject.stream(6, seeds=seeds))
    alone = torch.cat([sample(length, subject.stream(6, seeds=(seed,))) for seed in seeds])
    expect(torch.equal(together, alone), "three seeds drawn together must equal each seed drawn alone")


def sources_come_from_the_stream(subject: TaskSubject) -> None:
    """Equal streams give equal sources, and sources differ between rows and between steps."""
    sample, length = subject.task.sample, subject.middle
    sources, repeated = (sample(length, subject.stream(64)) for _ in range(2))
    expect_none(contract.sampling_problems(sources, repeated))
    text = _as_text(subject, sources[0])
    expect(len(sources.unique(dim=0)) > 1, f"64 sources of length {length} are all `{text}`; draw them at random")
    differ = not torch.equal(sources, sample(length, subject.stream(64, step=1)))
    expect(differ, "two steps gave the same sources; draw them from the stream")


def solve_is_pure(subject: TaskSubject) -> None:
    """``solve`` gives the same target twice and does not change the source."""
    source = subject.sources(subject.middle)
    original = source.clone()
    target, repeated = (subject.task.solve(source) for _ in range(2))
    expect_none(contract.purity_problems(original, source, target, repeated))


def targets_vary(subject: TaskSubject) -> None:
    """At longer lengths no constant is the target of every source."""
    if len(subject.task.symbols) == 1:
        raise Skip("the task has only one symbol")
    targets = subject.task.solve(subject.sources(subject.middle, 64))
    text = _as_text(subject, targets[0])
    expect(len(targets.unique(dim=0)) > 1, f"64 sources of length {subject.middle} have one target: `{text}`")


def grade_tells_right_from_wrong(subject: TaskSubject) -> None:
    """The grade accepts the target, and does not accept every prediction."""
    for length in subject.lengths:
        source = subject.sources(length)
        target = subject.task.solve(source)
        expect_none(contract.grade_problems(subject.task, source, target, length))
    expect_none(contract.tolerance_problems(subject.task, source, target))


def can_be_presented(subject: TaskSubject) -> None:
    """In every answer mode that the task supports, source, prefix and target hold ids of symbols."""
    sampled = subject.sources(subject.middle)
    for mode in ANSWER_MODES:
        try:
            presentation = Presentation(subject.task, mode)
        except NotApplicable:
            continue
        source, prefix, target = presentation(sampled)
        for ids in (source, target[target != IGNORE], *([] if prefix is None else [prefix])):
            is_valid = bool(((ids >= 0) & (ids < len(presentation.symbols))).all())
            expect(
                is_valid, f"in answer mode {mode} some ids belong to no symbol; return IGNORE where nothing is graded"
            )


def _as_text(subject: TaskSubject, row: Tensor) -> str:
    return " ".join(decode(subject.task.symbols, row))
