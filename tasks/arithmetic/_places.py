"""Sums and differences with a scratchpad: the digit and the carry of every place, then ``=`` and the answer.

Nye et al. 2021 ("Show Your Work: Scratchpads for Intermediate Computation with Language Models"). For addition, it is
the format of the task ``addition_scratchpad``.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.arithmetic._digits import add, subtract
from tasks.arithmetic.addition import Addition
from tasks.arithmetic.subtraction import Subtraction
from tasks.base import Stream, Task


class Places(Task):
    """Addition or subtraction whose answer is preceded by a scratchpad.

    Args:
        task: the task.
        scratchpad: ``places`` writes, from the units on, the hint of each place if there are hints, the carry or borrow
            out of it and its digit, then ``=`` and the answer. Only the answer is graded, including its position.
    """

    answer = "generate"

    def __init__(self, task: Addition | Subtraction, *, scratchpad: Literal["none", "places"] = "none") -> None:
        self.task, self.lengths, self.paper = task, task.lengths, task.paper
        self.symbols = (*task.symbols, "=")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw questions of the task."""
        return self.task.sample(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Write the places, then the answer; a place whose digit wrapped around has a carry or a borrow."""
        notation = self.task.notation
        if isinstance(self.task, Addition):
            a, b, units = self.task.read(source)
            digits = add(a, b, notation.base)
            wraps = a + b > digits
        else:
            a, b, units = notation.read_operands(source, (source.shape[1] - 1) // (2 * notation.width))
            digits = subtract(a, b, notation.base)
            wraps = a - b < digits
        steps = torch.stack((wraps.long(), digits), dim=-1)  # [B, N, 2]
        if units is not None:
            steps = torch.cat((notation.hints_of(digits, units)[..., None], steps), dim=-1)
        equals = torch.full_like(digits[:, :1], len(self.symbols) - 1)
        return torch.cat((steps.flatten(1), equals, notation.write_answer(digits, units)), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade only the tokens after the equals sign."""
        equals = target == len(self.symbols) - 1
        return prediction == target, (equals.cumsum(dim=1) > 0) & ~equals
