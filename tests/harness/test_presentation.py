"""What a model sees: each way to ask, where END stands, thinking room, grades, and what cannot be asked."""

import pytest
import torch
from torch import Tensor

from harness.data.presentation import SPECIALS, NotApplicable, Presentation
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
    """Which symbol is last?"""

    symbols = ("a", "b")
    answer = "readout"

    def solve(self, source: Tensor) -> Tensor:
        return source[:, -1:]


class Seen(Task):
    """Has a b been seen so far? Nothing is asked at the first place."""

    symbols = ("a", "b")
    answer = "tag"

    def sample(self, length: int, stream: Stream) -> Tensor:
        return stream.integers(2, length)

    def solve(self, source: Tensor) -> Tensor:
        return source.cummax(dim=1).values.index_fill(1, torch.tensor([0]), IGNORE)


class Either(Runs):
    """Both letters are right, and only the first place counts."""

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        first = torch.arange(target.shape[1]) == 0
        return prediction < 2, (target != IGNORE) & first


class Later(Seen):
    """What comes next? Nothing is asked at the last place."""

    def solve(self, source: Tensor) -> Tensor:
        return torch.cat((source[:, 1:], torch.full_like(source[:, :1], IGNORE)), dim=1)


class EitherSeen(Seen):
    """A tag task with a grade of its own."""

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        return prediction < 2, target != IGNORE


def tokens(*rows: str) -> Tensor:
    """Read rows of symbols."""
    names = {name: index for index, name in SHOW.items()}
    return torch.tensor([[names[symbol] for symbol in row.split()] for row in rows])


def shown(rows: Tensor | None) -> list[str] | None:
    return None if rows is None else [" ".join(SHOW[index] for index in row) for row in rows.tolist()]


SOURCE = tokens("a a b", "b a b", "a a a")


def test_the_alphabet_is_the_tasks_then_the_special_symbols() -> None:
    presentation = Presentation(Last())
    assert presentation.symbols == ("a", "b", START, END, BLANK, THINK)
    assert [presentation.symbols[presentation.special(name)] for name in SPECIALS] == list(SPECIALS)


def test_generate_feeds_the_answer_and_ends_each_row_after_its_last_token() -> None:
    source, prefix, target = Presentation(Runs())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert shown(target) == [f"a a {END} .", f"{END} . . .", f"a a a {END}"]
    assert shown(prefix) == [f"{START} a a {END}", f"{START} {END} {END} {END}", f"{START} a a a"]


def test_end_comes_after_the_last_asked_token_and_not_in_a_gap() -> None:
    _, prefix, target = Presentation(Runs()).with_answer(tokens("a b"), tokens(". b . a ."))
    assert shown(target) == [f". b . a {END} ."]
    assert shown(prefix) == [f"{START} {END} b {END} a {END}"]


def test_readout_feeds_blanks() -> None:
    source, prefix, target = Presentation(Last())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert shown(prefix) == [BLANK] * 3
    assert shown(target) == ["b", "b", "a"]


def test_tag_feeds_nothing() -> None:
    source, prefix, target = Presentation(Seen())(SOURCE)
    assert torch.equal(source, SOURCE)
    assert prefix is None
    assert shown(target) == [". a b", ". b b", ". a a"]


def test_generate_as_readout_has_no_end() -> None:
    _, prefix, target = Presentation(Runs(), "readout")(SOURCE)
    assert shown(prefix) == [f"{BLANK} {BLANK} {BLANK}"] * 3
    assert shown(target) == ["a a .", ". . .", "a a a"]


def test_readout_as_generate_has_an_end() -> None:
    _, prefix, target = Presentation(Last(), "generate")(SOURCE)
    assert shown(prefix) == [f"{START} b", f"{START} b", f"{START} a"]
    assert shown(target) == [f"b {END}", f"b {END}", f"a {END}"]


def test_tag_as_readout_asks_for_the_last_label() -> None:
    _, prefix, target = Presentation(Seen(), "readout")(SOURCE)
    assert shown(prefix) == [BLANK] * 3
    assert shown(target) == ["b", "b", "a"]


@pytest.mark.parametrize("way", ["generate", "readout"])
def test_thinking_room_stands_between_question_and_answer(way: Answer) -> None:
    plain, thinking = Presentation(Runs(), way)(SOURCE), Presentation(Runs(), way, think=2)(SOURCE)
    assert shown(thinking.source) == [f"{row} {' '.join([THINK] * 6)}" for row in shown(SOURCE) or []]
    assert torch.equal(thinking.target, plain.target)
    assert shown(thinking.prefix) == shown(plain.prefix)


@pytest.mark.parametrize(
    ("task", "way", "think"),
    [
        (Seen(), "generate", 0),
        (Last(), "tag", 0),
        (Runs(), "tag", 0),
        (Seen(), None, 1),
        (Seen(), "tag", 1),
        (Later(), "readout", 0),
    ],
)
def test_what_cannot_be_asked(task: Task, way: Answer | None, think: int) -> None:
    with pytest.raises(NotApplicable):
        Presentation(task, way, think)


def graded(presentation: Presentation, target: Tensor, prediction: Tensor) -> list[str]:
    """``+`` right, ``-`` wrong, ``.`` not counted."""
    correct, counted = presentation.grade(SOURCE[: len(target)], target, prediction)
    assert correct.shape == counted.shape == target.shape
    assert correct.dtype == counted.dtype == torch.bool
    table = torch.where(counted, correct.long(), 2)
    return ["".join("-+."[index] for index in row) for row in table.tolist()]


def test_the_default_grade_counts_what_is_asked_and_the_end() -> None:
    target = tokens(f"a a {END} .", f"{END} . . .")
    prediction = tokens(f"a b {END} {END}", f"a {END} a a")
    assert graded(Presentation(Runs()), target, prediction) == ["+-+.", "-..."]


def test_a_grade_of_the_task_is_asked_about_its_answer_and_never_about_the_end() -> None:
    presentation = Presentation(Either())
    assert presentation.graded_by_task
    target = tokens(f"a a {END} .", f"a {END} . .", f"a a a {END}")
    prediction = tokens(f"b {END} {END} a", "b a a a", f"{END} a a {END}")
    assert graded(presentation, target, prediction) == ["+.+.", "+-..", "-..+"]


def test_a_grade_of_the_task_in_readout() -> None:
    presentation = Presentation(Either(), "readout")
    assert graded(presentation, tokens("a a .", "a . ."), tokens(f"b {END} a", f"{END} a a")) == ["+..", "-.."]


def test_the_last_label_alone_is_graded_as_the_last_of_all() -> None:
    presentation = Presentation(EitherSeen(), "readout")
    assert presentation.graded_by_task
    assert graded(presentation, tokens("b", "b", "."), tokens("a", BLANK, "a")) == ["+", "-", "."]
