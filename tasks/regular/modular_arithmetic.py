"""Modular arithmetic without brackets: products bind tighter than sums, so a term has to be kept until it ends.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), modular arithmetic (simple), a regular task: sum so
far and current term, both modulo five, are a finite state.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import one_of, within
from tasks.scan import prefixes


class ModularArithmetic(Task):
    """Evaluate an expression modulo a number, multiplication first.

    The length is that of the expression and always odd: numbers at odd places, operators between them, all uniform.
    (The paper makes even lengths odd by one more symbol; its code takes one away.)

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

    def __init__(self, *, modulus: int = 5, operators: Literal["+-*", "+-", "+*", "+"] = "+-*") -> None:
        within("modulus", modulus, 2)
        one_of("operators", operators, ("+-*", "+-", "+*", "+"))
        self.modulus = modulus
        self.symbols = (*(str(number) for number in range(modulus)), *operators)
        self.minus, self.times = (self.symbols.index(each) if each in operators else -1 for each in "-*")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw numbers and operators in turn."""
        source = stream.integers(self.modulus, length)
        source[:, 1::2] = self.modulus + stream.integers(len(self.symbols) - self.modulus, length // 2)
        return source

    def solve(self, source: Tensor) -> Tensor:
        """Multiply up to each place from where its term began, then add the ends of the terms."""
        numbers, operators = source[:, ::2], source[:, 1::2]
        first = torch.zeros_like(numbers[:, :1], dtype=torch.bool)
        joined = torch.cat((first, operators == self.times), dim=1)
        negative = torch.cat((first, operators == self.minus), dim=1)
        signed = torch.where(negative, -numbers, numbers)
        product = prefixes(self._multiply, torch.stack((signed, joined), dim=-1))[..., 0]
        ends = torch.cat((~joined[:, 1:], ~first), dim=1)
        return torch.remainder((product * ends).sum(1, keepdim=True), self.modulus)

    def _multiply(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Multiply (value, joined to its left) pairs ``[..., 2]``: what is not joined starts a term of its own."""
        (a, before), (b, joined) = earlier.unbind(-1), later.unbind(-1)
        value = torch.remainder(torch.where(joined.bool(), a * b, b), self.modulus)
        return torch.stack((value, before * joined), dim=-1)
