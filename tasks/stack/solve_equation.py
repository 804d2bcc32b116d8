"""Solve equation: which number makes a bracketed expression have the given value?

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), solve equation, a deterministic context-free task.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within
from tasks.stack._expressions import MINUS, SIGNS, draw_expression, evaluate


class SolveEquation(Task):
    """Find the ``x`` of an equation modulo a number.

    The length is that of the equation: a fully bracketed expression of ``length - 2`` symbols (as in modular arithmetic
    with brackets, but without products, so that one number solves it), then ``=`` and its value. The ``x`` hides the
    first number at or after a uniform place, from the end on to the beginning. (The authors' code fills lengths below 3
    with zeros; here there are none.)

    Args:
        modulus: 2 or more; numbers are ``0`` to ``modulus - 1`` (the paper has 5).

    Examples:
        ( x - 4 ) = 3 -> 2
        ( ( 1 + 3 ) - ( - x ) ) = 0 -> 1
        x = 4 -> 4
        - x = 2 -> 3
        modulus=10: ( 7 + x ) = 3 -> 6
    """

    answer = "readout"
    lengths = range(3, 1 << 24)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, modulus: int = 5) -> None:
        within("modulus", modulus, 2)
        self.modulus = modulus
        self.symbols = (*(str(number) for number in range(modulus)), *SIGNS[: MINUS + 1], "x", "=")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw an expression, evaluate it, and hide one of its numbers."""
        expression = draw_expression(length - 2, self.modulus, 2, stream)
        value = evaluate(expression, self.modulus)
        place = torch.arange(length - 2, device=stream.device)
        ahead = torch.remainder(place - stream.integers(length - 2, 1), length - 2)
        hidden = torch.where(expression < self.modulus, ahead, length).argmin(dim=1, keepdim=True)
        expression = expression.scatter(1, hidden, self.symbols.index("x"))
        return torch.cat((expression, torch.full_like(value, self.symbols.index("=")), value), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Try 0 and 1: the value is linear in ``x``, and its slope is 1 or -1, which is its own inverse."""
        unknown = source[:, :-2] == self.symbols.index("x")
        tried = torch.cat([source[:, :-2].masked_fill(unknown, x) for x in (0, 1)])
        at_zero, at_one = evaluate(tried, self.modulus).chunk(2)
        return torch.remainder((source[:, -1:] - at_zero) * (at_one - at_zero), self.modulus)
