"""Addition: add two numbers digit by digit, with carries that may propagate over the whole length.

In forward order, the first digit of the answer may depend on every carry; where the answer is reversed, each digit
depends on one carry only. Zhou et al. 2023 ("What Algorithms can Transformers Learn?") reverse only the answer, McLeish
et al. 2024 ("Transformers Can Do Arithmetic with the Right Embeddings") operands and answer. Index hints (Zhou et al.)
mark digits of equal place value with the same symbol, so that a model can find them by matching instead of counting.
Padding with a zero provides a place for the last carry. Operands of different lengths (McLeish et al.) require aligning
the digits.
"""

import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic._digits import Base, Notation, Order, add
from tasks.base import Stream, Task
from tasks.rasp import _programs
from tasks.validation import NonNegative, check_range


class Addition(Task):
    """Add two numbers.

    The length is that of the first operand. Digits are uniform, including leading zeros. The answer always has
    ``length + max(padding, 1)`` digits, with leading zeros if there is no carry, so that a batch has one shape.

    Args:
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units last, ``reversed`` writes them first, in operands and answer, and
            ``reversed_answer`` writes them first only in the answer.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. The hint of its place value precedes every digit.
            Hints are consecutive in reading order and start at a random one. An answer has at most ``hints`` digits.
        padding: number of zeros added to each operand on its most significant side.
        shorter: number of digits by which the second operand is shorter; it has at least one digit.

    Examples:
        5 4 + 3 7 -> 0 9 1
        9 9 + 0 1 -> 1 0 0
        base=2: 1 0 + 1 1 -> 1 0 1
        base=16: f + f -> 1 e
        order=reversed: 4 5 + 7 3 -> 1 9 0
        order=reversed_answer: 5 4 + 3 7 -> 1 9 0
        padding=1: 0 5 4 + 0 3 7 -> 0 9 1
        padding=2,order=reversed: 9 0 0 + 1 0 0 -> 0 1 0
        hints=5: #2 5 #3 4 + #2 3 #3 7 -> #1 0 #2 9 #3 1
        hints=5,order=reversed: #2 4 #3 5 + #2 7 #3 3 -> #2 1 #3 9 #4 0
        hints=5,order=reversed_answer: #2 5 #3 4 + #2 3 #3 7 -> #3 1 #2 9 #1 0
        hints=5,padding=1: #0 0 #1 5 + #0 0 #1 7 -> #0 1 #1 2
        shorter=2: 9 9 9 5 + 1 5 -> 1 0 0 1 0
        shorter=2: 4 5 + 7 -> 0 5 2
        hints=5,shorter=1: #2 5 #3 4 + #3 7 -> #1 0 #2 6 #3 1
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), addition with index hints and reversed order"

    def __init__(
        self,
        *,
        base: Base = 10,
        order: Order = "forward",
        hints: NonNegative = 0,
        padding: NonNegative = 0,
        shorter: NonNegative = 0,
    ) -> None:
        self.notation = Notation("+", base, order, hints)
        self.padding, self.shorter = padding, shorter
        self.extra_digits = max(padding, 1)
        if hints:
            check_range("hints", hints, self.extra_digits + 1)
            self.lengths = range(1, hints - self.extra_digits + 1)
            if order == "reversed" and not shorter:
                self.program = _programs.addition(base, padding)
        self.symbols = self.notation.symbols

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits and, if there are hints, the first one."""
        a, b = stream.integers(self.notation.base, 2, length).unbind(1)  # [B, N], units first
        a, b = (F.pad(number, (0, self.padding)) for number in (a, b[:, : max(length - self.shorter, 1)]))
        return self.notation.write_source(a, b, self.notation.draw_hint(length + self.extra_digits, stream))

    def solve(self, source: Tensor) -> Tensor:
        """Add and write the answer with the hints of the source."""
        a, b, units = self.read(source)
        return self.notation.write_answer(add(a, b, self.notation.base), units)

    def read(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both operands with as many digits as their sum, units first, and the hint of the units ``[B, 1]``."""
        length = self._length((source.shape[1] - 1) // self.notation.width)
        a, b, units = self.notation.read_operands(source, length + self.padding)
        places = length + self.extra_digits
        return F.pad(a, (0, places - a.shape[1])), F.pad(b, (0, places - b.shape[1])), units

    def _length(self, digits: int) -> int:
        """Return the length of sources with ``digits`` digits in total.

        The second operand has ``shorter`` digits less than the first, or one digit.
        """
        unpadded = digits - 2 * self.padding
        return min(unpadded - 1, (unpadded + self.shorter) // 2)
