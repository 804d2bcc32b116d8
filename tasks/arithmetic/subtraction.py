"""Subtraction: subtract two numbers digit by digit, with borrows that may propagate over the whole length.

A task of Kazemnejad et al. 2023 ("The Impact of Positional Encoding on Length Generalization in Transformers"). The
notations are those of addition; the protocol is ours.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic._digits import Base, Notation, Order, subtract
from tasks.base import Stream, Task
from tasks.validation import NonNegative, check_range


class Subtraction(Task):
    """Subtract a number from one of equally many digits that is not smaller.

    The length is that of the operands. Two numbers with uniform digits, including leading zeros, are drawn, and the
    larger one becomes the first. The answer has as many digits as an operand, including padding and leading zeros.

    Args:
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units last, ``reversed`` writes them first, in operands and answer, and
            ``reversed_answer`` writes them first only in the answer.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. The hint of its place value precedes every digit.
            Hints are consecutive in reading order and start at a random one. An answer has at most ``hints`` digits.
        padding: number of zeros added to each operand on its most significant side.

    Examples:
        5 4 - 3 7 -> 1 7
        1 0 0 - 0 0 1 -> 0 9 9
        7 7 - 7 7 -> 0 0
        base=2: 1 0 - 0 1 -> 0 1
        base=16: f 0 - 0 f -> e 1
        order=reversed: 4 5 - 7 3 -> 7 1
        order=reversed_answer: 5 4 - 3 7 -> 7 1
        padding=1: 0 5 4 - 0 3 7 -> 0 1 7
        hints=5: #2 5 #3 4 - #2 3 #3 7 -> #2 1 #3 7
        hints=5,order=reversed: #2 4 #3 5 - #2 7 #3 3 -> #2 7 #3 1
    """

    answer = "generate"
    paper = "Kazemnejad et al. 2023 (arXiv 2305.19466), subtraction; formats of Zhou et al. 2023 (arXiv 2310.16028)"

    def __init__(
        self,
        *,
        base: Base = 10,
        order: Order = "forward",
        hints: NonNegative = 0,
        padding: NonNegative = 0,
    ) -> None:
        self.notation = Notation("-", base, order, hints)
        self.padding = padding
        if hints:
            check_range("hints", hints, padding + 1)
            self.lengths = range(1, hints - padding + 1)
        self.symbols = self.notation.symbols

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits and, if there are hints, the first one; put the larger number first."""
        operands = F.pad(stream.integers(self.notation.base, 2, length), (0, self.padding))  # [B, 2, N], units first
        a, b = operands.unbind(1)
        swapped = _is_smaller(a, b)
        a, b = torch.where(swapped, b, a), torch.where(swapped, a, b)
        return self.notation.write_source(a, b, self.notation.draw_hint(length + self.padding, stream))

    def solve(self, source: Tensor) -> Tensor:
        """Subtract and write the answer with the hints of the source."""
        a, b, units = self.notation.read_operands(source, (source.shape[1] - 1) // (2 * self.notation.width))
        return self.notation.write_answer(subtract(a, b, self.notation.base), units)


def _is_smaller(a: Tensor, b: Tensor) -> Tensor:
    """Return whether ``a`` is smaller than ``b`` at the highest place where they differ, bool ``[B, 1]``."""
    place = torch.arange(1, a.shape[1] + 1, device=a.device)
    return ((a < b) * place).amax(dim=1, keepdim=True) > ((a > b) * place).amax(dim=1, keepdim=True)
