"""Modular arithmetic without brackets: evaluate sums and products, where products bind tighter.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), modular arithmetic (simple), a regular task: the sum
so far and the current term, both modulo five, are a finite state.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.prefix_scan import prefix_products
from tasks.validation import AtLeastTwo


class ModularArithmetic(Task):
    """Evaluate an expression modulo a number, multiplication first.

    The length is that of the expression and always odd: numbers at odd positions, operators between them, all uniform.
    (The paper makes even lengths odd with one more symbol; its code removes one.)

    Args:
        modulus: 2 or more; numbers are ``0`` to ``modulus - 1`` (the paper has 5).
        operators: the operators that occur.

    Examples:
        1 + 2 - 4 -> 4
        2 - 1 * 3 + 4 -> 3
        0 - 3 * 4 * 2 -> 1
        3 -> 3
        modulus=2: 1 + 1 * 1 -> 0
        operators=+-: 4 + 3 - 1 -> 1
    """

    answer = "readout"
    lengths = range(1, 1 << 24, 2)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, modulus: AtLeastTwo = 5, operators: Literal["+-*", "+-", "+*", "+"] = "+-*") -> None:
        self.modulus = modulus
        self.symbols = (*(str(number) for number in range(modulus)), *operators)
        self.minus, self.times = (self.symbols.index(sign) if sign in operators else -1 for sign in "-*")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw numbers and operators in turn."""
        source = stream.integers(self.modulus, length)
        source[:, 1::2] = self.modulus + stream.integers(len(self.symbols) - self.modulus, length // 2)
        return source

    def solve(self, source: Tensor) -> Tensor:
        """Multiply from the start of each term up to each number, then add the products at the ends of the terms."""
        numbers, operators = source[:, ::2], source[:, 1::2]
        first = torch.zeros_like(numbers[:, :1], dtype=torch.bool)
        joined = torch.cat((first, operators == self.times), dim=1)
        negative = torch.cat((first, operators == self.minus), dim=1)
        signed = torch.where(negative, -numbers, numbers)
        product = prefix_products(self._multiply, torch.stack((signed, joined), dim=-1))[..., 0]
        ends = torch.cat((~joined[:, 1:], ~first), dim=1)
        return torch.remainder((product * ends).sum(1, keepdim=True), self.modulus)

    def _multiply(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Multiply pairs ``[..., 2]`` of a value and whether it is joined to its left; if not, it starts a new term."""
        (a, a_joined), (b, b_joined) = earlier.unbind(-1), later.unbind(-1)
        value = torch.remainder(torch.where(b_joined.bool(), a * b, b), self.modulus)
        return torch.stack((value, a_joined * b_joined), dim=-1)
