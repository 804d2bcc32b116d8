"""Every task agrees with an independent oracle: a few lines of plain Python for one row of symbols.

They are in ``oracles/``, a file for each folder of tasks. Each is checked at its shortest length, at random lengths and
at 500 (or the longest length it has).
"""

import random
from collections.abc import Callable

import pytest
import torch
from oracles import all_oracles
from oracles.arithmetic import addition

from harness.data.rng import Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.arithmetic.addition import Addition
from tasks.base import Task, decode
from tasks.counting.count import Count
from tasks.counting.majority import Majority

CATALOG = Catalog()
LONG = 500


ORACLES = all_oracles()


def task_of(spec: str) -> Task:
    return build_task(Spec.parse("task", spec, CATALOG))


def some_lengths(task: Task) -> list[int]:
    """Return the shortest length, twenty random ones up to a hundred, and the longest up to 500."""
    has = [length for length in task.lengths[:LONG] if length <= LONG]
    short = [length for length in has if length <= 100]
    return sorted({has[0], has[-1], *random.Random(0).choices(short, k=20)})


def test_every_task_has_an_oracle() -> None:
    assert {spec.partition(":")[0] for spec in ORACLES} == set(CATALOG.names("task"))


@pytest.mark.parametrize("spec", ORACLES)
def test_answers_are_the_oracles(spec: str) -> None:
    task, oracle = task_of(spec), ORACLES[spec]
    for length in some_lengths(task):
        source = task.sample(length, Stream.of([0], spec, "test", length, 8, "cpu"))
        answers = task.solve(source)
        assert source.dtype == answers.dtype == torch.int64
        for question, answer in zip(source, answers, strict=True):
            expected = oracle(list(decode(task.symbols, question)))
            assert list(decode(task.symbols, answer)) == expected, (spec, length)


@pytest.mark.parametrize("base", [2, 10])
def test_a_carry_runs_the_whole_length(base: int) -> None:
    """Random digits rarely have long carries; these do, with an interruption of each kind in the middle."""
    task, length = task_of(f"addition:base={base}"), 600
    nines, one = [base - 1] * length, [0] * (length - 1) + [1]
    broken = [*nines[:300], 0, *nines[301:]]
    twice = [*nines[:300], base - 1, *nines[301:]], [*[0] * 300, 1, *[0] * 298, 1]
    rows = [(nines, one), (nines, nines), (broken, one), (one, nines), (nines, [0] * length), twice]
    source = torch.tensor([[*a, base, *b] for a, b in rows])
    for question, answer in zip(source, task.solve(source), strict=True):
        assert list(decode(task.symbols, answer)) == addition(base)(list(decode(task.symbols, question)))


def test_short_answers_of_a_mixed_batch_end_in_ignore() -> None:
    task = Count()
    answers = [decode(task.symbols, row) for row in task.solve(torch.tensor([[3, 5], [8, 8]]))]
    assert answers == [("3", "4", "5"), ("8", ".", ".")]


@pytest.mark.parametrize("length", [1, 2, 3, 20])
def test_majority_is_balanced_and_keeps_ties(length: int) -> None:
    task = Majority()
    source = task.sample(length, Stream.of([0], "majority", "test", 0, 20_000, "cpu"))
    assert task.solve(source).float().mean().item() == pytest.approx(0.5, abs=0.015)
    ones = source.float().mean(0)
    assert float(ones.max() - ones.min()) < 0.04
    assert bool((2 * source.sum(1) == length).any()) == (length % 2 == 0)


def test_count_starts_anywhere() -> None:
    source = Count(numbers=7).sample(3, Stream.of([0], "count", "test", 0, 500, "cpu"))
    assert set(map(tuple, source.tolist())) == {(first, first + 2) for first in range(5)}


@pytest.mark.parametrize("order", ["forward", "reversed"])
def test_hints_come_from_every_window(order: str) -> None:
    task = task_of(f"addition:hints=6,order={order}")
    source = task.sample(3, Stream.of([0], "addition", "test", 0, 500, "cpu"))
    windows = {tuple(symbol for symbol in decode(task.symbols, row) if symbol[0] == "#") for row in task.solve(source)}
    assert windows == {tuple(f"#{first + place}" for place in range(4)) for first in range(3)}


def test_orders_and_hints_ask_the_same_sums() -> None:
    def operands(spec: str) -> list[tuple[int, ...]]:
        task = task_of(spec)
        source = task.sample(5, Stream.of([0], "addition", "test", 0, 4, "cpu"))
        rows = [[symbol for symbol in decode(task.symbols, row) if symbol.isdigit()] for row in source]
        step = -1 if "reversed" in spec else 1
        return [tuple(int("".join(half[::step])) for half in (row[:5], row[5:])) for row in rows]

    plain = operands("addition")
    assert plain == operands("addition:order=reversed") == operands("addition:hints=9,order=reversed")


@pytest.mark.parametrize(
    ("build", "longest"),
    [
        (lambda: Count(numbers=7), 7),
        (lambda: Addition(hints=9), 8),
        (lambda: Addition(hints=9, padding=1), 8),
        (lambda: Addition(hints=9, padding=3), 6),
        (lambda: Addition(), Task.lengths[-1]),
    ],
)
def test_the_alphabet_limits_the_lengths(build: Callable[[], Task], longest: int) -> None:
    assert build().lengths[-1] == longest
