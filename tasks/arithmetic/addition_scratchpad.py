"""Addition with a scratchpad: write the sum and the carry of every place before the answer.

Nye et al. 2021 ("Show Your Work: Scratchpads for Intermediate Computation with Language Models") have models write the
steps of long addition. The layout is ours.
"""

import torch
from torch import Tensor

from tasks.arithmetic._digits import Base, Order, add
from tasks.arithmetic.addition import Addition
from tasks.base import Stream, Task
from tasks.validation import NonNegative


class AdditionScratchpad(Task):
    """Add two numbers of equally many digits: write the sum of each place, then ``=`` and the answer.

    Sources and options are those of addition. The scratchpad starts with the units. For each place of the answer, it
    has the hint, if there are hints, and then the sum of the digits and of the carry into the place, in two digits.
    Only the answer is graded, including its position.

    Args:
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units of operands and answer last, ``reversed`` first; ``reversed_answer`` first
            only in the answer.
        hints: number of hint symbols, as in addition.
        padding: number of zeros added to each operand, as in addition.

    Examples:
        5 4 + 3 7 -> 1 1 0 9 0 0 = 0 9 1
        9 9 + 9 9 -> 1 8 1 9 0 1 = 1 9 8
        order=reversed: 4 5 + 7 3 -> 1 1 0 9 0 0 = 1 9 0
        order=reversed_answer: 5 4 + 3 7 -> 1 1 0 9 0 0 = 1 9 0
        padding=1: 0 8 + 0 5 -> 1 3 0 1 = 1 3
        hints=5,padding=1: #2 0 #3 8 + #2 0 #3 5 -> #3 1 3 #2 0 1 = #2 1 #3 3
    """

    answer = "generate"
    paper = "Nye et al. 2021 (arXiv 2112.00114), long addition"

    def __init__(
        self,
        *,
        base: Base = 10,
        order: Order = "forward",
        hints: NonNegative = 0,
        padding: NonNegative = 0,
    ) -> None:
        self.addition = Addition(base=base, order=order, hints=hints, padding=padding)
        self.lengths = self.addition.lengths
        self.symbols = (*self.addition.symbols, "=")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw sources of addition."""
        return self.addition.sample(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Add; a place has a carry if the digit of the answer is smaller than the sum of the two digits."""
        notation = self.addition.notation
        a, b, units = self.addition.read(source)
        total = add(a, b, notation.base)
        steps = torch.stack((a + b > total, total), dim=-1)  # [B, N, 2]
        if units is not None:
            steps = torch.cat((notation.hints_of(total, units)[..., None], steps), dim=-1)
        equals = torch.full_like(total[:, :1], len(self.symbols) - 1)
        return torch.cat((steps.flatten(1), equals, notation.write_answer(total, units)), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade only the tokens after the equals sign."""
        equals = target == len(self.symbols) - 1
        return prediction == target, (equals.cumsum(dim=1) > 0) & ~equals
