"""What every task keeps: true examples, symbols that exist, rows that know nothing of each other, fair grades."""

from itertools import pairwise

import torch
from torch import Tensor

from harness.check.fixtures import TaskSubject, docstring_of, padded
from harness.check.result import CheckFailed, Skip, expect
from harness.data.presentation import SPECIALS, NotApplicable, Presentation
from harness.data.rng import Stream
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Answer, decode, encode, worked_examples

WAYS: tuple[Answer, ...] = ("generate", "readout", "tag")
SHORT = 512
"""Up to this length the longest question of a task is tried too."""


def is_documented(subject: TaskSubject) -> None:
    """The file and its class have docstrings and, if built in, say where the task comes from."""
    docstring_of(subject.entry.cls)
    expect(bool(subject.task.paper) or subject.entry.origin != "built-in", "the fact `paper` is empty")


def examples_are_true(subject: TaskSubject) -> None:
    """The class docstring has worked examples, and ``solve`` gives their answers."""
    examples = list(worked_examples(subject.entry.cls))
    expect(bool(examples), "the class docstring has no worked examples: lines like `1 0 1 -> 0` after `Examples:`")
    for example in examples:
        spec = Spec.parse("task", f"{subject.entry.name}:{example.options}", subject.spec.catalog)
        task = build_task(spec)
        foreign = sorted({*example.source, *example.answer} - {*task.symbols, "."})
        expect(not foreign, f"example `{example}`: {', '.join(foreign)} not among the symbols")
        answer = decode(task.symbols, task.solve(encode(task.symbols, example.source))[0])
        expect(answer == example.answer, f"example `{example}`: solve answers `{' '.join(answer)}`")


def symbols_are_fit(subject: TaskSubject) -> None:
    """The alphabet has distinct symbols without spaces, none of them a special one; the lengths are a range."""
    symbols, lengths = subject.task.symbols, subject.task.lengths
    expect(len(set(symbols)) == len(symbols) > 0, f"symbols must be distinct and at least one, not {symbols}")
    odd = [each for each in symbols if not isinstance(each, str) or each.split() != [each] or each in SPECIALS]
    expect(not odd, f"symbols must be words without spaces, none of {', '.join(SPECIALS)}: not {odd[:1]}")
    fit = isinstance(lengths, range) and len(lengths) > 0 and lengths.step > 0 and lengths[0] >= 1
    expect(fit, f"lengths must be a range that rises from 1 or more, not {lengths!r}")


def shapes_are_right(subject: TaskSubject) -> None:
    """At every length the task has there is a row of question and a row of answer for each row of the stream."""
    for length in subject.lengths:
        source = subject.questions(length, 5)
        answer = subject.task.solve(source)
        for what, seen in (("sample", source), ("solve", answer)):
            fits = seen.dim() == 2 and len(seen) == 5 and seen.shape[1] > 0
            expect(fits, f"{what} at length {length} gives {list(seen.shape)} for 5 rows, not [5, tokens]")
        labelled = subject.task.answer != "tag" or answer.shape == source.shape
        expect(labelled, f"a tag task labels every token: {answer.shape[1]} labels for {source.shape[1]} tokens")


def has_its_lengths(subject: TaskSubject) -> None:
    """Questions or answers grow with the length, and the longest of a short range can be drawn."""
    widths = [_tokens(subject, length) for length in subject.lengths]
    for (length, width), (longer, wider) in pairwise(zip(subject.lengths, widths, strict=True)):
        words = f"question and answer have {width} tokens at length {length} and {wider} at length {longer}"
        expect(wider > width, f"{words}: what is longer about them?")
    if subject.task.lengths[-1] <= SHORT:
        _tokens(subject, subject.task.lengths[-1])


def _tokens(subject: TaskSubject, length: int) -> int:
    try:
        source = subject.questions(length, 2)
        return source.shape[1] + subject.task.solve(source).shape[1]
    except Exception as error:
        raise CheckFailed(
            f"length {length} is among its lengths, but raises {type(error).__name__}: {error}"
        ) from error


def tokens_are_legal(subject: TaskSubject) -> None:
    """Questions hold ids of symbols; answers hold ids of symbols, or ``IGNORE`` where nothing is asked."""
    size = len(subject.task.symbols)
    for length in subject.lengths:
        source = subject.questions(length)
        answer = subject.task.solve(source)
        for what, ids in (("sample", source), ("solve", answer[answer != IGNORE])):
            expect(ids.dtype == torch.long, f"{what} at length {length} gives {ids.dtype}, not torch.int64")
            foreign = ids[(ids < 0) | (ids >= size)].unique().tolist()
            expect(not foreign, f"{what} at length {length} gives ids outside 0 to {size - 1}: {foreign[:3]}")


def answers_end_once(subject: TaskSubject) -> None:
    """Something is asked in every row; a generated answer has no gap before its end."""
    generated = subject.task.answer == "generate"
    for length in subject.lengths:
        asked = subject.task.solve(subject.questions(length)) != IGNORE
        gap = generated and bool((asked[:, 1:] & ~asked[:, :-1]).any())
        expect(not gap, f"an answer at length {length} has IGNORE before its last token; only its tail may")
        expect(generated or bool(asked.any(1).all()), f"a row at length {length} asks nothing: it is all IGNORE")


def every_way_asks(subject: TaskSubject) -> None:
    """In every way it can be asked, most rows are asked something."""
    for way in WAYS:
        try:
            presentation = Presentation(subject.task, way)
        except NotApplicable:
            continue
        for length in subject.lengths:
            asked = (presentation(subject.questions(length)).target != IGNORE).any(1)
            few = f"asked to {way} at length {length}, {int((~asked).sum())} of {len(asked)} rows ask nothing"
            expect(bool(asked.double().mean() > 0.5), f"{few}: the target is all IGNORE")


def rows_are_their_own(subject: TaskSubject) -> None:
    """A row's question and answer are the same alone, in any batch, and anywhere in it."""
    for length in subject.lengths:
        keys, source = subject.stream(8).keys, subject.questions(length, 8)
        answer = subject.task.solve(source)
        moved = subject.task.solve(source.flip(0))
        expect(torch.equal(moved, answer.flip(0)), f"solve at length {length}: answers must move with their rows")
        for row in range(8):
            drawn = subject.task.sample(length, Stream(keys[[row]]))
            expect(torch.equal(drawn, source[[row]]), f"sample at length {length}: row {row} depends on the others")
            alone = padded(subject.task.solve(source[[row]]), answer.shape[1])
            expect(torch.equal(alone, answer[[row]]), f"solve at length {length}: row {row} depends on the others")


def data_do_not_depend_on_the_batch(subject: TaskSubject) -> None:
    """A seed sees the same questions at any batch size and, bit for bit, in a population."""
    sample, length, seeds = subject.task.sample, subject.middle, (3, 5, 7)
    small, large = (sample(length, subject.stream(rows)) for rows in (4, 12))
    expect(torch.equal(small, large[:4]), "4 rows are not the first 4 of 12: something depends on the batch size")
    together = sample(length, subject.stream(6, seeds=seeds))
    alone = torch.cat([sample(length, subject.stream(6, seeds=(seed,))) for seed in seeds])
    expect(torch.equal(together, alone), "three seeds drawn together do not equal each drawn alone")


def questions_come_from_the_stream(subject: TaskSubject) -> None:
    """The stream decides the questions: the same gives the same, and not every row or step is alike."""
    sample, length = subject.task.sample, subject.middle
    once, twice = (sample(length, subject.stream(64)) for _ in range(2))
    expect(torch.equal(once, twice), "the same stream gave other questions: draw from the stream alone")
    expect(len(once.unique(dim=0)) > 1, f"64 questions of length {length} are all `{_shown(subject, once[0])}`")
    expect(not torch.equal(once, sample(length, subject.stream(64, step=1))), "two steps gave the same questions")


def solving_is_pure(subject: TaskSubject) -> None:
    """``solve`` gives the same answer twice and leaves the question as it was."""
    source = subject.questions(subject.middle)
    before = source.clone()
    once, twice = (subject.task.solve(source) for _ in range(2))
    expect(torch.equal(source, before), "solve writes into its question")
    expect(torch.equal(once, twice), "solve gave two answers to the same questions")


def answers_vary(subject: TaskSubject) -> None:
    """At longer lengths no constant answers every question."""
    if len(subject.task.symbols) == 1:
        raise Skip("there is one symbol only")
    answers = subject.task.solve(subject.questions(subject.middle, 64))
    seen = _shown(subject, answers[0])
    expect(len(answers.unique(dim=0)) > 1, f"64 questions of length {subject.middle} have one answer: `{seen}`")


def grades_are_fair(subject: TaskSubject) -> None:
    """The grade accepts the solution, and not everything."""
    for length in subject.lengths:
        source = subject.questions(length)
        target = subject.task.solve(source)
        correct, counted = subject.task.grade(source, target, target)
        for what, seen in (("correct", correct), ("counted", counted)):
            fits = seen.shape == target.shape and seen.dtype == torch.bool
            expect(fits, f"grade: {what} is {list(seen.shape)} {seen.dtype}, not {list(target.shape)} torch.bool")
        expect(bool((correct | ~counted).all()), f"the grade refuses a solution at length {length}")
        empty = subject.task.answer != "generate" and not bool(counted.any(1).all())
        expect(not empty, f"no token counts in a row at length {length}")
        correct, counted = subject.task.grade(source, target, (target + 1) % max(2, len(subject.task.symbols)))
    expect(bool((counted & ~correct).any()), "the grade accepts answers with every token changed")


def can_be_presented(subject: TaskSubject) -> None:
    """Asked in every way it allows, a model sees legal tokens and is asked for legal ones."""
    source = subject.questions(subject.middle)
    for way in WAYS:
        try:
            presentation = Presentation(subject.task, way)
        except NotApplicable:
            continue
        seen, prefix, target = presentation(source)
        for ids in (seen, target[target != IGNORE], *([] if prefix is None else [prefix])):
            legal = bool(((ids >= 0) & (ids < len(presentation.symbols))).all())
            expect(legal, f"asked to {way} there are ids that are no symbol: something asked has no answer")


def _shown(subject: TaskSubject, row: Tensor) -> str:
    return " ".join(decode(subject.task.symbols, row))
