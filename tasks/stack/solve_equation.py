"""Solve equation: find the number that gives a bracketed expression its stated value.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), solve equation, a deterministic context-free task.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.stack._expressions import MINUS, SIGNS, draw_expression, evaluate
from tasks.validation import AtLeastTwo


class SolveEquation(Task):
    """Find the ``x`` of an equation modulo a number.

    The length is that of the equation: a fully bracketed expression of ``length - 2`` symbols, then ``=`` and its
    value. Expressions are those of modular arithmetic with brackets, but without products, so that exactly one number
    solves the equation. The ``x`` replaces the first number at or after a uniform position, wrapping around at the end.
    (The authors' code fills lengths below 3 with zeros; here they do not exist.)

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

    def __init__(self, *, modulus: AtLeastTwo = 5) -> None:
        self.modulus = modulus
        self.symbols = (*(str(number) for number in range(modulus)), *SIGNS[: MINUS + 1], "x", "=")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw an expression, evaluate it, and hide one of its numbers."""
        expression = draw_expression(length - 2, self.modulus, 2, stream)
        value = evaluate(expression, self.modulus)
        position = torch.arange(length - 2, device=stream.device)
        distance = torch.remainder(position - stream.integers(length - 2, 1), length - 2)
        hidden = torch.where(expression < self.modulus, distance, length).argmin(dim=1, keepdim=True)
        expression = expression.scatter(1, hidden, self.symbols.index("x"))
        return torch.cat((expression, torch.full_like(value, self.symbols.index("=")), value), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Evaluate at 0 and 1: the value is linear in ``x``, and its slope is 1 or -1, which is its own inverse."""
        unknown = source[:, :-2] == self.symbols.index("x")
        substituted = torch.cat([source[:, :-2].masked_fill(unknown, x) for x in (0, 1)])
        at_zero, at_one = evaluate(substituted, self.modulus).chunk(2)
        return torch.remainder((source[:, -1:] - at_zero) * (at_one - at_zero), self.modulus)
