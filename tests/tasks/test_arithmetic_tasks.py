"""Arithmetic tasks: the distribution of sources, and carries and borrows of every kind."""

from collections.abc import Callable
from itertools import product

import pytest
import torch
from oracles.arithmetic import ORACLES, subtraction

from harness.data.presentation import Presentation
from harness.data.rng import Stream
from tasks.arithmetic._digits import carry_columns, multiply
from tasks.arithmetic.addition import Addition
from tasks.arithmetic.addition_scratchpad import AdditionScratchpad
from tasks.arithmetic.multiplication import Multiplication
from tasks.arithmetic.subtraction import Subtraction
from tasks.arithmetic.sum_modulo import SumModulo
from tasks.base import Task, decode, encode


def questions(task: Task, length: int, rows: int) -> torch.Tensor:
    return task.sample(length, Stream.of([0], "arithmetic", "test", length, rows, "cpu"))


def test_subtraction_takes_the_smaller_of_two_uniform_numbers() -> None:
    """With two digits in base 2, unequal pairs are twice as frequent as equal ones, and no answer is negative."""
    source = questions(Subtraction(base=2), 2, 32_000)
    a, b = (2 * source[:, place] + source[:, place + 1] for place in (0, 3))
    assert bool((a >= b).all())
    shares = torch.bincount(4 * a + b, minlength=16).reshape(4, 4) / len(source)
    torch.testing.assert_close(shares, (torch.ones(4, 4) + torch.ones(4, 4).tril(-1)).tril() / 16, atol=0.008, rtol=0)


@pytest.mark.parametrize("base", [2, 10])
def test_a_borrow_runs_the_whole_length(base: int) -> None:
    task, length = Subtraction(base=base), 600
    top, one, zeros = [1] + [0] * (length - 1), [0] * (length - 1) + [1], [0] * length
    broken = [*top[:300], 1, *top[301:]]
    rows = [(top, one), (broken, one), (top, zeros), (top, top), (broken, top), ([base - 1] * length, top)]
    source = torch.tensor([[*a, base, *b] for a, b in rows])
    for question, answer in zip(source, task.solve(source), strict=True):
        assert list(decode(task.symbols, answer)) == subtraction(base)(list(decode(task.symbols, question)))


def test_the_carries_of_a_product_run_the_whole_length() -> None:
    """``99...9 * 99...9`` has the largest possible columns; in ``33...3 * 33...3``, a carry passes all places."""
    task = Multiplication(digits=500)
    rows = [("9" * 500, "9" * 500), ("9" * 500, "0" * 499 + "1"), ("3" * 500, "3" * 500), ("3" * 500, "0" * 499 + "3")]
    for row in rows:
        source = [*row[0], "*", *row[1]]
        answer = decode(task.symbols, task.solve(encode(task.symbols, tuple(source)))[0])
        assert list(answer) == ORACLES["multiplication:digits=500"](source)


@pytest.mark.parametrize("base", [2, 3, 36])
def test_columns_up_to_the_largest_are_carried(base: int) -> None:
    largest = 40 * (base - 1) ** 2
    columns = torch.tensor([[largest] * 10 + [0] * 20, [base - 1, largest] * 5 + [0] * 20])
    digits = carry_columns(columns, base, largest)
    assert bool(((digits >= 0) & (digits < base)).all())
    for before, after in zip(columns.tolist(), digits.tolist(), strict=True):
        values = [sum(digit * base**place for place, digit in enumerate(row)) for row in (before, after)]
        assert values[0] == values[1]


def test_every_short_product_is_right() -> None:
    numbers = torch.tensor(list(product(range(10), repeat=3)))
    value = torch.tensor([1, 10, 100, 1000, 10_000])
    for b in product(range(10), repeat=2):
        products = multiply(numbers, torch.tensor([b]).expand(1000, 2), 10)
        assert torch.equal(products @ value, (numbers @ value[:3]) * (b[0] + 10 * b[1]))


def test_a_shorter_operand_leaves_the_first_as_it_was() -> None:
    plain, shorter = questions(Addition(), 6, 8), questions(Addition(shorter=4), 6, 8)
    assert shorter.shape[1] == 6 + 1 + 2
    assert torch.equal(plain[:, :7], shorter[:, :7])
    assert torch.equal(plain[:, -2:], shorter[:, -2:])
    assert [questions(Addition(shorter=4), length, 1).shape[1] for length in (1, 5, 6)] == [3, 7, 9]
    assert Addition(shorter=4).symbols == Addition().symbols


def test_only_the_answer_after_a_scratchpad_counts() -> None:
    task = AdditionScratchpad(hints=9)
    source = questions(task, 3, 50)
    presented, _, target = Presentation(task)(source)
    assert torch.equal(presented, source)
    steps = 3 * 4  # a hint and two digits for each place
    corrupted = target.clone()
    corrupted[:, : steps + 1] = 0
    correct, counted = Presentation(task).grade(source, target, corrupted)
    assert counted.sum(1).tolist() == [8 + 1] * 50  # four hinted digits and END
    assert bool((correct | ~counted).all())
    answers = Addition(hints=9).solve(questions(Addition(hints=9), 3, 50))
    assert torch.equal(target[:, steps + 1 : -1], answers)


@pytest.mark.parametrize("modulus", [2, 10])
@pytest.mark.parametrize("length", [1, 30])
def test_sums_are_uniform(modulus: int, length: int) -> None:
    task = SumModulo(modulus=modulus)
    answers = task.solve(questions(task, length, 20_000)).flatten()
    assert (torch.bincount(answers, minlength=modulus) / 20_000 - 1 / modulus).abs().max() < 0.015


@pytest.mark.parametrize(
    ("build", "longest"), [(lambda: Subtraction(hints=9), 9), (lambda: Subtraction(hints=9, padding=2), 7)]
)
def test_hints_limit_the_lengths(build: Callable[[], Task], longest: int) -> None:
    assert build().lengths[-1] == longest
