"""Tasks of the Chomsky hierarchy: sources have the distributions of the paper, and the hardest ones are solved."""

import math
import random
from collections import Counter
from collections.abc import Callable, Hashable, Iterable
from fractions import Fraction
from itertools import accumulate

import pytest
import torch
from oracles.chomsky import ORACLES

from harness.data.rng import Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.arithmetic.binary_addition import BinaryAddition
from tasks.arithmetic.binary_multiplication import BinaryMultiplication
from tasks.arithmetic.compute_sqrt import ComputeSqrt
from tasks.base import Task, decode, encode
from tasks.stack.modular_arithmetic_brackets import ModularArithmeticBrackets
from tasks.stack.solve_equation import SolveEquation
from tasks.stack.stack_manipulation import StackManipulation
from tasks.strings.copy import Copy
from tasks.strings.missing_duplicate import MissingDuplicate
from tasks.strings.sort import Sort

ROWS = 20_000
CATALOG = Catalog()


def questions(task: Task, length: int, rows: int = ROWS) -> list[tuple[str, ...]]:
    source = task.sample(length, Stream.of([0], type(task).__name__, "test", length, rows, "cpu"))
    return [decode(task.symbols, row) for row in source]


def assert_distributed(values: Iterable[Hashable], expected: dict[Hashable, Fraction]) -> None:
    """Assert that only expected values occur, each with a frequency within five standard errors."""
    counts = Counter(values)
    assert sum(expected.values()) == 1
    assert set(counts) <= set(expected)
    total = counts.total()
    for value, share in expected.items():
        error = math.sqrt(total * share * (1 - share))
        assert abs(counts[value] - total * share) <= 5 * error, (value, counts[value], float(total * share))


def assert_uniform(drawn: Iterable[Hashable], over: Iterable[Hashable]) -> None:
    values = list(over)
    assert_distributed(drawn, {value: Fraction(1, len(values)) for value in values})


@pytest.mark.parametrize("length", [2, 8])
def test_the_hole_is_anywhere(length: int) -> None:
    assert_uniform((row.index("_") for row in questions(MissingDuplicate(), length)), range(length))


@pytest.mark.parametrize("build", [Copy, Sort])
def test_unique_strings_are_all_equally_likely(build: Callable[..., Task]) -> None:
    every = [(a, b) for a in "0123" for b in "0123" if a != b]
    assert_uniform(questions(build(alphabet=4, unique=True), 2), every)


def test_stacks_have_any_size_and_instructions_are_even() -> None:
    rows = questions(StackManipulation(), 9)
    assert_uniform((sum(token in "01" for token in row) for row in rows), range(1, 9))
    assert_uniform((token for row in rows for token in row if token not in "01"), ["pop", "push0", "push1"])
    assert_uniform((token for row in rows for token in row if token in "01"), "01")


@pytest.mark.parametrize("length", [2, 10, 60])
def test_the_bits_of_a_stack_are_even(length: int) -> None:
    task = StackManipulation()
    answers = [ORACLES["stack_manipulation"](list(row)) for row in questions(task, length, 2000)]
    assert_uniform((token for answer in answers for token in answer if token in "01"), "01")


LEAVES = {1: "d", 2: "-d", 3: "(d)", 4: "(-d)"}


def shapes(length: int) -> dict[str, Fraction]:
    """Return every shape of a bracketed expression with its probability, by the recursion of the paper."""
    if length in LEAVES:
        return {LEAVES[length]: Fraction(1)}
    probabilities: dict[str, Fraction] = {}
    for left in range(1, length - 3):
        for a, p in shapes(left).items():
            for b, q in shapes(length - left - 3).items():
                shape = f"({a}o{b})"
                probabilities[shape] = probabilities.get(shape, Fraction(0)) + p * q / (length - 4)
    return probabilities


def shape(row: Iterable[str]) -> str:
    """Return the shape of an expression: operators follow a number or a closing bracket, other minuses are signs."""
    text = ""
    for token in row:
        binary = token in "+-*" and text[-1:] in ("d", ")") and text != ""
        text += "o" if binary else "d" if token.isdigit() else token
    return text


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5, 6, 9, 13, 16])
def test_brackets_split_as_in_the_paper(length: int) -> None:
    assert_distributed(map(shape, questions(ModularArithmeticBrackets(), length)), dict(shapes(length)))


@pytest.mark.parametrize("length", [20, 101])
def test_the_left_side_has_any_length(length: int) -> None:
    lefts = []
    for row in questions(ModularArithmeticBrackets(), length, 5000):
        depth = list(accumulate((token == "(") - (token == ")") for token in row))
        outer = (place for place in range(2, length) if depth[place] == 1 and row[place] in "+-*")
        lefts.append(next(place for place in outer if row[place - 1] != "(") - 1)
    assert_uniform(lefts, range(1, length - 3))


@pytest.mark.parametrize(("products", "operators"), [(True, "+-*"), (False, "+-")])
def test_numbers_and_operators_are_even(products: bool, operators: str) -> None:
    rows = questions(ModularArithmeticBrackets(products=products), 30, 5000)
    pairs = [pair for row in rows for pair in zip(row, shape(row), strict=True)]
    assert_uniform((token for token, kind in pairs if kind == "d"), "01234")
    assert_uniform((token for token, kind in pairs if kind == "o"), operators)


def test_x_hides_the_first_number_from_a_uniform_place_on() -> None:
    """At length 8 the expression is ``(d o -d)`` or ``(-d o d)``, with numbers at 1 and 4 or at 2 and 4."""
    rows = questions(SolveEquation(), 8)
    half = Fraction(1, 2)
    expected = {
        ("(xo-d)=d", half * Fraction(3, 6)),
        ("(do-x)=d", half * Fraction(3, 6)),
        ("(-xod)=d", half * Fraction(4, 6)),
        ("(-dox)=d", half * Fraction(2, 6)),
    }
    texts = (shape("d" if token == "x" else token for token in row) for row in rows)
    hidden = [f"{text[: row.index('x')]}x{text[row.index('x') + 1 :]}" for text, row in zip(texts, rows, strict=True)]
    assert_distributed(hidden, dict(expected))


def test_every_number_solves_an_equation_as_often() -> None:
    task = SolveEquation()
    source = task.sample(20, Stream.of([0], "solve", "test", 0, ROWS, "cpu"))
    assert_uniform(task.solve(source).flatten().tolist(), range(5))


@pytest.mark.parametrize(("task", "sign"), [(BinaryAddition(), "+"), (BinaryMultiplication(), "*")])
def test_operands_split_evenly_and_are_uniform_from_one(task: Task, sign: str) -> None:
    sizes = [(row.index(sign), len(row) - 1 - row.index(sign)) for row in questions(task, 30)]
    assert_uniform(sizes, [(first, 29 - first) for first in range(1, 29)])
    pairs = [("".join(row[: row.index(sign)]), "".join(row[row.index(sign) + 1 :])) for row in questions(task, 6)]
    expected: dict[Hashable, Fraction] = {}
    for first in range(1, 5):
        left, right = 2**first - 1, 2 ** (5 - first) - 1
        for a in range(1, left + 1):
            for b in range(1, right + 1):
                digits = f"{a:0{first}b}"[::-1], f"{b:0{5 - first}b}"[::-1]
                expected[digits] = Fraction(1, 4 * left * right)
    assert_distributed(pairs, expected)


@pytest.mark.parametrize("length", [1, 2, 5])
def test_roots_are_drawn_of_any_positive_number(length: int) -> None:
    values = (int("".join(row[::-1]), 2) for row in questions(ComputeSqrt(), length))
    assert_uniform(values, range(1, 2**length))


@pytest.mark.parametrize("length", [17, 40])
def test_bits_of_large_numbers_are_even(length: int) -> None:
    rows = questions(ComputeSqrt(), length, 5000)
    for bits in zip(*rows, strict=True):
        assert_uniform(bits, "01")


def little(value: int, places: int) -> tuple[str, ...]:
    return tuple(f"{value:0{places}b}"[::-1])


@pytest.mark.parametrize("places", [1, 2, 59, 60, 61, 119, 120, 121, 499, 500])
def test_roots_next_to_squares(places: int) -> None:
    """The floor of the root changes between a square and the number before it."""
    draw = random.Random(places)
    top = math.isqrt(2**places - 1)
    roots = {1, top, *(draw.randint(1, top) for _ in range(20)), *(1 << k for k in range(top.bit_length()))}
    numbers = {n for root in roots for n in (root * root - 1, root * root, root * root + 2 * root)}
    rows = [little(n, places) for n in sorted(numbers) if 0 < n < 2**places]
    assert_right(ComputeSqrt(), "compute_sqrt", rows)


@pytest.mark.parametrize("length", [7, 64, 500])
def test_products_and_sums_of_ones_only(length: int) -> None:
    """The largest columns and the longest carries."""
    for task, name, sign in (
        (BinaryMultiplication(), "binary_multiplication", "*"),
        (BinaryAddition(), "binary_addition", "+"),
    ):
        rows = []
        for first in {1, 2, length // 3, length // 2, length - 2}:
            second = length - 1 - first
            for a, b in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
                rows.append((*little(a % 2**first, first), sign, *little(b % 2**second, second)))
        assert_right(task, name, rows)


def assert_right(task: Task, name: str, rows: list[tuple[str, ...]]) -> None:
    source = torch.cat([encode(task.symbols, row) for row in rows])
    for row, answer in zip(rows, task.solve(source), strict=True):
        assert list(decode(task.symbols, answer)) == ORACLES[name](list(row)), row


def test_a_stack_that_is_emptied_again_and_again() -> None:
    draw = random.Random(0)
    moves = ("pop", "pop", "pop", "push0", "push1")
    rows = [("1", *(draw.choice(moves) for _ in range(60))) for _ in range(200)]
    assert_right(StackManipulation(), "stack_manipulation", rows)


@pytest.mark.parametrize("side", ["left", "right"])
def test_brackets_as_deep_as_they_can_be(side: str) -> None:
    """Python parses at most 200 nested brackets."""
    draw, text = random.Random(0), "3"
    for _ in range(190):
        pair = f"{draw.choice('01234')}{draw.choice('+-*')}"
        text = f"({text}{pair[::-1]})" if side == "left" else f"({pair}{text})"
    assert_right(ModularArithmeticBrackets(), "modular_arithmetic_brackets", [tuple(text)])


@pytest.mark.parametrize(
    ("spec", "lengths"),
    [
        ("copy:alphabet=9,unique=true", range(1, 10)),
        ("sort:alphabet=9,unique=true", range(1, 10)),
        ("missing_duplicate", range(2, 1 << 24, 2)),
        ("missing_duplicate:holes=2", range(4, 1 << 24, 2)),
        ("stack_manipulation", range(2, 1 << 24)),
        ("solve_equation", range(3, 1 << 24)),
        ("binary_addition", range(3, 1 << 24)),
    ],
)
def test_lengths(spec: str, lengths: range) -> None:
    assert build_task(Spec.parse("task", spec, CATALOG)).lengths == lengths
