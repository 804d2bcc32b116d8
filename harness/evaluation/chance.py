"""Chance: the scores of answers that ignore the question, measured on a sample of the task.

Two guessers are graded, and the better one counts, separately for exact match and for tokens. One gives the most
frequent symbol at each position. The other draws uniformly from the symbols that occur there. Both are fitted on one
half of the sample and graded on the other.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from harness.data.presentation import Presentation
from harness.data.rng import Purpose, Stream
from tasks.base import IGNORE

ROWS = 2048
"""Questions in a sample."""


class Chance(NamedTuple):
    """Expected exact match and token accuracy of guessing, as fractions."""

    exact: float
    token: float


def chance(presentation: Presentation, key: str, length: int, rows: int = ROWS) -> Chance:
    """Measure chance at one length on ``rows`` questions; ``key`` names the random stream of the task's data."""
    source = presentation.task.sample(length, Stream.of([0], key, Purpose.CHANCE, length, rows, "cpu"))
    target = presentation(source).target
    half = rows // 2
    counts = _counts(target[:half], len(presentation.symbols))
    guesses = _guesses(counts, key, rows - half)
    grades = [Chance(*fractions_right(presentation, source[half:], target[half:], guess)) for guess in guesses]
    return Chance(max(g.exact for g in grades), max(g.token for g in grades))


def _counts(target: Tensor, symbols: int) -> Tensor:
    """Count how often each symbol is the target at each position: long ``[T, V]``."""
    has_target = target != IGNORE
    ones = torch.nn.functional.one_hot(target.masked_fill(~has_target, 0), symbols)
    return (ones * has_target[..., None]).sum(0)


def _guesses(counts: Tensor, key: str, rows: int) -> tuple[Tensor, Tensor]:
    """Return the guesses of both guessers, constant and uniform, long ``[rows, T]`` each."""
    constant = counts.argmax(-1).expand(rows, -1)
    legal = (counts > 0).sum(-1).clamp(min=1)
    by_count = counts.argsort(dim=-1, descending=True)
    drawn = Stream.of([0], key, Purpose.GUESS, 0, rows, "cpu").integers(legal, len(counts))
    return constant, by_count.expand(rows, -1, -1).gather(2, drawn[..., None])[..., 0]


def fractions_right(presentation: Presentation, source: Tensor, target: Tensor, answers: Tensor) -> tuple[float, float]:
    """Return exact match and token accuracy of answers ``[B, T]``, as fractions."""
    correct, counted = presentation.grade(source, target, answers)
    exact = (correct | ~counted).all(1).double().mean()
    return float(exact), float((correct & counted).sum() / counted.sum().clamp(min=1))
