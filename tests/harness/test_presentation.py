"""Presentation: the batches of each mode, the position of END, computation tokens, grades, impossible modes."""

import pytest
import torch
from torch import Tensor

from harness.data.presentation import SPECIALS, NotApplicable, Presentation
from harness.models.population import build_seeded
from harness.registry.catalog import Catalog
from harness.registry.options import Spec
from tasks.base import IGNORE, Answer, Stream, Task

START, END, BLANK, THINK = "<start>", "<end>", "<blank>", "<think>"
SHOW = dict(enumerate(("a", "b", *SPECIALS))) | {IGNORE: "."}


class Runs(Task):
    """Repeat the leading a's: answers of different lengths in one batch."""

    symbols = ("a", "b")
    answer = "generate"

    def solve(self, source: Tensor) -> Tensor:
        leading = (source == 0).long().cumprod(dim=1).bool()
        return torch.where(leading, 0, IGNORE)


class Last(Task):
    """Give the last symbol."""

    symbols = ("a", "b")
    answer = "readout"

    def solve(self, source: Tensor) -> Tensor:
        return source[:, -1:]


class ContainsB(Task):
    """Label each position by whether a b occurred so far; the first position has no label."""

    symbols = ("a", "b")
    answer = "tag"

    def sample(self, length: int, stream: Stream) -> Tensor:
        return stream.integers(2, length)

    def solve(self, source: Tensor) -> Tensor:
        return source.cummax(dim=1).values.index_fill(1, torch.tensor([0]), IGNORE)


class Either(Runs):
    """Accept both letters, and count only the first position."""

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.arange(target.shape[1]) == 0
        return prediction < 2, (target != IGNORE) & first


class NextSymbol(ContainsB):
    """Label each position with the next symbol; the last position has no label."""

    def solve(self, source: Tensor) -> Tensor:
        return torch.cat((source[:, 1:], torch.full_like(source[:, :1], IGNORE)), dim=1)


class EitherLabel(ContainsB):
    """A tag task that overrides ``grade``."""

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        return prediction < 2, target != IGNORE


def tokens(*rows: str) -> Tensor:
    """Return the token ids of rows of symbols."""
    names = {name: index for index, name in SHOW.items()}
    return torch.tensor([[names[symbol] for symbol in row.split()] for row in rows])


def text(rows: Tensor | None) -> list[str] | None:
    return None if rows is None else [" ".join(SHOW[index] for index in row) for row in rows.tolist()]


SOURCE = tokens("a a b", "b a b", "a a a")


def test_the_alphabet_is_the_tasks_then_the_special_symbols() -> None:
    presentation = Presentation(Last())
    assert presentation.symbols == ("a", "b", START, END, BLANK, THINK)
    assert [presentation.symbols[presentation.special(name)] for name in SPECIALS] == list(SPECIALS)


def test_generate_feeds_the_answer_and_ends_each_row_after_its_last_token() -> None:
    source, prefix, target = Presentation(Runs())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert text(target) == [f"a a {END} .", f"{END} . . .", f"a a a {END}"]
    assert text(prefix) == [f"{START} a a {END}", f"{START} {END} {END} {END}", f"{START} a a a"]


def test_end_follows_the_last_target_token_and_not_a_gap() -> None:
    _, prefix, target = Presentation(Runs()).with_answer(tokens("a b"), tokens(". b . a ."))
    assert text(target) == [f". b . a {END} ."]
    assert text(prefix) == [f"{START} {END} b {END} a {END}"]


def test_readout_feeds_blanks() -> None:
    source, prefix, target = Presentation(Last())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert text(prefix) == [BLANK] * 3
    assert text(target) == ["b", "b", "a"]


def test_tag_feeds_nothing() -> None:
    source, prefix, target = Presentation(ContainsB())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert prefix is None
    assert text(target) == [". a b", ". b b", ". a a"]


def test_generate_as_readout_has_no_end() -> None:
    _, prefix, target = Presentation(Runs(), "readout")(SOURCE)
    assert text(prefix) == [f"{BLANK} {BLANK} {BLANK}"] * 3
    assert text(target) == ["a a .", ". . .", "a a a"]


def test_readout_as_generate_has_an_end() -> None:
    _, prefix, target = Presentation(Last(), "generate")(SOURCE)
    assert text(prefix) == [f"{START} b", f"{START} b", f"{START} a"]
    assert text(target) == [f"b {END}", f"b {END}", f"a {END}"]


def test_tag_as_readout_asks_for_the_last_label() -> None:
    _, prefix, target = Presentation(ContainsB(), "readout")(SOURCE)
    assert text(prefix) == [BLANK] * 3
    assert text(target) == ["b", "b", "a"]


@pytest.mark.parametrize("mode", ["generate", "readout"])
def test_think_tokens_stand_between_question_and_answer(mode: Answer) -> None:
    plain, thinking = Presentation(Runs(), mode)(SOURCE), Presentation(Runs(), mode, think=2)(SOURCE)
    assert text(thinking.source) == [f"{row} {' '.join([THINK] * 6)}" for row in text(SOURCE) or []]
    assert torch.equal(thinking.target, plain.target)
    assert text(thinking.prefix) == text(plain.prefix)


@pytest.mark.parametrize(("task", "mode"), [(Runs(), "generate"), (Runs(), "readout"), (ContainsB(), "tag")])
def test_a_start_token_before_the_source_changes_nothing_else(task: Task, mode: Answer) -> None:
    plain, begun = Presentation(task, mode)(SOURCE), Presentation(task, mode, begin=True)
    batch = begun(SOURCE)
    assert text(batch.source) == [f"{START} {row}" for row in text(SOURCE) or []]
    assert text(batch.prefix) == text(plain.prefix)
    without = batch.target[:, 1:] if mode == "tag" else batch.target
    assert torch.equal(without, plain.target)
    assert batch.stream_length == plain.stream_length + 1


def test_labels_are_graded_without_the_start_token() -> None:
    presentation = Presentation(EitherLabel(), begin=True)
    target = presentation(SOURCE).target
    plain = Presentation(EitherLabel())
    for symbol in range(2):
        guess = torch.full_like(target, symbol)
        correct, counted = presentation.grade(SOURCE, target, guess)
        expected = plain.grade(SOURCE, target[:, 1:], guess[:, 1:])
        assert not counted[:, 0].any()
        assert torch.equal(correct[:, 1:], expected[0])
        assert torch.equal(counted[:, 1:], expected[1])


@pytest.mark.parametrize("begin", [False, True])
def test_attention_counts_equal_tokens_only_after_a_start_token(begin: bool) -> None:
    presentation = Presentation(ContainsB(), begin=begin)
    spec = Spec.parse("architecture", "transformer:width=16,depth=2", Catalog())
    model = build_seeded(spec, presentation.symbols, 0).double().eval()
    logits = [model(presentation(torch.zeros(1, count, dtype=torch.long)).source, None)[0, -1] for count in (3, 4)]
    assert torch.allclose(*logits) == (not begin)


@pytest.mark.parametrize(
    ("task", "mode", "think"),
    [
        (ContainsB(), "generate", 0),
        (Last(), "tag", 0),
        (Runs(), "tag", 0),
        (ContainsB(), None, 1),
        (ContainsB(), "tag", 1),
        (NextSymbol(), "readout", 0),
    ],
)
def test_impossible_modes_raise(task: Task, mode: Answer | None, think: int) -> None:
    with pytest.raises(NotApplicable):
        Presentation(task, mode, think)


def grades(presentation: Presentation, target: Tensor, prediction: Tensor) -> list[str]:
    """Return the grades as text: ``+`` right, ``-`` wrong, ``.`` not counted."""
    correct, counted = presentation.grade(SOURCE[: len(target)], target, prediction)
    assert correct.shape == counted.shape == target.shape
    assert correct.dtype == counted.dtype == torch.bool
    table = torch.where(counted, correct.long(), 2)
    return ["".join("-+."[index] for index in row) for row in table.tolist()]


def test_the_default_grade_counts_targets_and_the_end() -> None:
    target = tokens(f"a a {END} .", f"{END} . . .")
    prediction = tokens(f"a b {END} {END}", f"a {END} a a")
    assert grades(Presentation(Runs()), target, prediction) == ["+-+.", "-..."]


def test_a_task_grades_its_answer_and_never_the_end() -> None:
    presentation = Presentation(Either())
    assert presentation.graded_by_task
    target = tokens(f"a a {END} .", f"a {END} . .", f"a a a {END}")
    prediction = tokens(f"b a {END} a", "b a a a", f"b b b {END}")
    assert grades(presentation, target, prediction) == ["+.+.", "+-..", "+..+"]


def test_what_follows_the_first_end_of_a_generated_answer_is_not_read() -> None:
    target = tokens(f"a a {END} .", f"a a a {END}", f"{END} . . .")
    prediction = tokens(f"b {END} {END} a", f"{END} a a {END}", f"{END} a a a")
    assert grades(Presentation(Either()), target, prediction) == ["+.-.", "-..-", "+..."]


def test_a_grade_of_the_task_in_readout() -> None:
    presentation = Presentation(Either(), "readout")
    assert grades(presentation, tokens("a a .", "a . ."), tokens(f"b {END} a", f"{END} a a")) == ["+..", "-.."]


def test_the_last_label_is_graded_at_the_last_position() -> None:
    presentation = Presentation(EitherLabel(), "readout")
    assert presentation.graded_by_task
    assert grades(presentation, tokens("b", "b", "."), tokens("a", BLANK, "a")) == ["+", "-", "."]
