"""RASP-L: the language enforces its rules, and the length of a program counts its core operations."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from tasks import rasp
from tasks.base import IGNORE
from tasks.rasp import END, START, RuleBroken, Sequence, choose
from tasks.rasp._machine import build_graph, evaluate, generate, length, next_tokens

TOKENS = torch.tensor([[3, 1, 3, 3, 0, 1, 2], [0, 1, 0, 1, 1, 1, 0]])


def prefixes(function: Callable[[list[int]], int]) -> torch.Tensor:
    """Return the values of a function of the tokens up to each position."""
    return torch.tensor([[function(row[: end + 1]) for end in range(len(row))] for row in TOKENS.tolist()])


def before(row: list[int]) -> list[int]:
    return row[:-1]


LIBRARY: dict[str, tuple[Callable[[Sequence], Sequence], Callable[[list[int]], int]]] = {
    "indices": (rasp.indices, lambda row: len(row) - 1),
    "full": (lambda x: rasp.full(x, 5), lambda row: 5),
    "shift_right": (rasp.shift_right, lambda row: row[-2] if len(row) > 1 else 0),
    "shift_right 3": (lambda x: rasp.shift_right(x, 3, 9), lambda row: row[-4] if len(row) > 3 else 9),
    "cumsum": (lambda x: rasp.cumsum(x == 1), lambda row: row.count(1)),
    "where": (lambda x: rasp.where(x > 1, x + 5, x * 2), lambda row: row[-1] + 5 if row[-1] > 1 else row[-1] * 2),
    "where index": (
        lambda x: rasp.where(x > 1, rasp.indices(x), x),
        lambda row: len(row) - 1 if row[-1] > 1 else row[-1],
    ),
    "mask": (lambda x: rasp.mask(x, x > 1, 7), lambda row: row[-1] if row[-1] > 1 else 7),
    "maximum": (rasp.maximum, max),
    "minimum": (rasp.minimum, min),
    "argmax": (rasp.argmax, lambda row: max(range(len(row)), key=lambda i: (row[i], i))),
    "argmin": (rasp.argmin, lambda row: min(range(len(row)), key=lambda i: (row[i], -i))),
    "num_prev": (lambda x: rasp.num_prev(x, x), lambda row: row.count(row[-1])),
    "has_seen": (lambda x: rasp.has_seen(x, rasp.full(x, 1)), lambda row: int(1 in row)),
    "firsts": (lambda x: rasp.firsts(x, x), lambda row: row.index(row[-1])),
    "lasts": (
        lambda x: rasp.lasts(x, rasp.full(x, 3)),
        lambda row: max((i for i, t in enumerate(row) if t == 3), default=-1),
    ),
    "index_select": (
        lambda x: rasp.index_select(x, rasp.firsts(x, x + 1), 8),
        lambda row: row[-1] + 1 if row[-1] + 1 in row else 8,
    ),
    "first_true": (lambda x: rasp.first_true(x == 1), lambda row: row.index(1) if 1 in row else -1),
    "induct": (lambda x: rasp.induct(x, x), lambda row: row[row.index(row[-1]) + 1] if row[-1] in before(row) else 0),
    "induct_prev": (
        lambda x: rasp.induct_prev(x, x),
        lambda row: row[row.index(row[-1]) - 1] if row.index(row[-1]) >= 1 else 0,
    ),
    "induct_prev -2": (
        lambda x: rasp.induct_prev(x, x, -2, 7),
        lambda row: row[row.index(row[-1]) - 2] if row.index(row[-1]) >= 2 else 7,
    ),
    "induct_prev of what has not occurred": (lambda x: rasp.induct_prev(x, x + 9, -1, 7), lambda row: 7),
    "shift_right by a negative number": (lambda x: rasp.shift_right(x, -1, 7), lambda row: 7),
    "shift_right by nothing": (lambda x: rasp.shift_right(x, 0), lambda row: row[-1]),
    "mode": (rasp.mode, lambda row: max(row, key=lambda t: (row.count(t), t))),
    "binary_mode": (lambda x: rasp.binary_mode(x == 1), lambda row: int(2 * row.count(1) > len(row))),
    "leq": (lambda x: rasp.leq(x, rasp.shift_right(x)), lambda row: int(row[-1] <= (row[-2] if len(row) > 1 else 0))),
}


@pytest.mark.parametrize("name", LIBRARY)
def test_the_library_is_what_its_words_say(name: str) -> None:
    expression, meaning = LIBRARY[name]
    assert torch.equal(evaluate(build_graph(expression), TOKENS).data, prefixes(meaning))


@pytest.mark.parametrize("name", LIBRARY)
def test_nothing_looks_ahead(name: str) -> None:
    expression, _ = LIBRARY[name]
    whole = evaluate(build_graph(expression), TOKENS).data
    for end in range(1, TOKENS.shape[1]):
        assert torch.equal(evaluate(build_graph(expression), TOKENS[:, :end]).data, whole[:, :end])


@pytest.mark.parametrize(
    ("program", "operations"),
    [
        (lambda x: x, 0),
        (lambda x: x + 1, 1),
        (lambda x: (x + 1) * (x + 1), 2),  # the same operation twice is one
        (lambda x: (x + 1) * (x + 2), 3),
        (rasp.shift_right, 4),  # indices, a step, select, max
        (lambda x: rasp.shift_right(x, 3), 6),
        (lambda x: rasp.shift_right(x) + rasp.shift_right(x), 5),
        (lambda x: rasp.where(x, x, x), 2),
        (rasp.mode, 6),  # times (2), their maximum (2), select and max
        (lambda x: rasp.tok_map(rasp.tok_map(x, lambda t: t), lambda t: t), 2),
    ],
)
def test_length_counts_core_operations(program: Callable[[Sequence], Sequence], operations: int) -> None:
    assert length(program) == operations


BROKEN: dict[str, tuple[Callable[[Any], Any], str]] = {
    "shifts by a sequence": (lambda x: rasp.shift_right(x, x), "a whole number"),
    "shifts by a fraction": (lambda x: rasp.induct_prev(x, x, 0.5), "a whole number"),
    "doubles an index": (lambda x: rasp.indices(x) * 2 == x, "computes with an index"),
    "adds indices": (lambda x: rasp.indices(x) + rasp.indices(x) == x, "computes with an index"),
    "steps by two": (lambda x: rasp.indices(x) + 2 == x, "computes with an index"),
    "computes with a count": (lambda x: rasp.num_prev(x, x) % 2, "computes with an index"),
    "hides it in a function": (lambda x: rasp.tok_map(rasp.indices(x), lambda i: i % 2), "computes with an index"),
    "hides it in a predicate": (
        lambda x: rasp.sel_width(rasp.select(rasp.indices(x), rasp.indices(x), lambda k, q: k + k == q)) > 1,
        "computes with an index",
    ),
    "outputs an index": (rasp.indices, "outputs an index"),
    "outputs a mean": (lambda x: rasp.kqv(x, x, x, rasp.true), "outputs a mean"),
    "computes with a mean": (lambda x: rasp.kqv(x, x, x, rasp.true) * 2 > 1, "computes with a mean"),
    "branches": (lambda x: rasp.tok_map(x, lambda t: 1 if t > 3 else 0), "branches on a value"),
    "branches outside": (lambda x: x if x > 3 else x + 1, "branches on a value"),
    "looks ahead": (lambda x: rasp.sel_width(rasp.select(x, x, rasp.equals, causal=False)) > 1, "causal"),
    "grows": (lambda x: x * 100, "bounded by 127"),
    "uses fractions": (lambda x: x + 0.5, "integers"),
    "is no sequence": (lambda x: 3, "must return a sequence, not int"),
    "closes over a sequence": (lambda x: rasp.tok_map(x, lambda t: t + x), "with `seq_map`"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_rules_are_one_clear_line(name: str) -> None:
    program, words = BROKEN[name]
    with pytest.raises(RuleBroken, match=words) as caught:
        next_tokens(program, TOKENS, bound=127)
    assert "\n" not in str(caught.value)


def test_programs_that_never_end_or_leave_their_alphabet_are_told() -> None:
    with pytest.raises(RuleBroken, match=r"never ends: no END after 9 tokens, for a source of 7 tokens"):
        generate(lambda x: rasp.full(x, 1), TOKENS, 4, 9, IGNORE)
    with pytest.raises(RuleBroken, match=r"leaves its alphabet: it outputs 4, not 0 to 3"):
        generate(lambda x: x + 1, TOKENS[:, :4], 4, 99, IGNORE)


def test_generate_ends_row_by_row() -> None:
    def down(x: Sequence) -> Sequence:
        """Count from the last token down to 1."""
        previous = rasp.shift_right(x)
        return rasp.seq_map(x, previous, lambda t, last: choose(t == START, last, choose(t <= 1, END, t - 1)))

    answers = generate(down, torch.tensor([[0, 3], [4, 1]]), 5, 9, IGNORE)
    assert answers.tolist() == [[3, 2, 1], [1, IGNORE, IGNORE]]
