"""Addition: digit by digit, with a carry that may run the whole length.

Written forward the first answer digit may depend on every carry; reversed, each digit needs one carry only. Index hints
(Zhou et al. 2023, "What Algorithms can Transformers Learn?") mark the digits of one place with one symbol, so that a
model finds them by matching and not by counting; padding with a zero makes room for the last carry. Operands of two
lengths (McLeish et al. 2024, "Transformers Can Do Arithmetic with the Right Embeddings") have to be brought into line.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic._digits import Notation, add
from tasks.base import Stream, Task
from tasks.limits import within
from tasks.rasp import _programs


class Addition(Task):
    """Add two numbers.

    The length is that of the first. Their digits are uniform, leading zeros included. The answer always has
    ``length + max(padding, 1)`` digits, with leading zeros where there is no carry, so that a batch has one shape.

    Args:
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units last, ``reversed`` first, in operands and answer alike.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. Before every digit stands the hint of its place;
            in reading order the places have consecutive hints, from a random one on. Limits the length.
        padding: zeros put before each operand (on its most significant side).
        shorter: digits that the second operand has less than the first; it has one at least.

    Examples:
        5 4 + 3 7 -> 0 9 1
        9 9 + 0 1 -> 1 0 0
        base=2: 1 0 + 1 1 -> 1 0 1
        base=16: f + f -> 1 e
        order=reversed: 4 5 + 7 3 -> 1 9 0
        padding=1: 0 5 4 + 0 3 7 -> 0 9 1
        padding=2,order=reversed: 9 0 0 + 1 0 0 -> 0 1 0
        hints=5: #2 5 #3 4 + #2 3 #3 7 -> #1 0 #2 9 #3 1
        hints=5,order=reversed: #2 4 #3 5 + #2 7 #3 3 -> #2 1 #3 9 #4 0
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
        base: int = 10,
        order: Literal["forward", "reversed"] = "forward",
        hints: int = 0,
        padding: int = 0,
        shorter: int = 0,
    ) -> None:
        self.notation = Notation("+", base, order, hints)
        within("padding", padding, 0)
        within("shorter", shorter, 0)
        self.padding, self.shorter = padding, shorter
        self.room = max(padding, 1)
        if hints:
            within("hints", hints, self.room + 1)
            self.lengths = range(1, hints - self.room + 1)
            known = order == "reversed" and not shorter
            self.program = _programs.addition(base, padding) if known else None
        self.symbols = self.notation.symbols

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits and, with hints, the window they come from."""
        a, b = stream.integers(self.notation.base, 2, length).unbind(1)  # [B, N], units first
        a, b = (F.pad(number, (0, self.padding)) for number in (a, b[:, : max(length - self.shorter, 1)]))
        return self.notation.question(a, b, self.notation.draw_hint(length + self.room, stream))

    def solve(self, source: Tensor) -> Tensor:
        """Add and write the answer with the hints of the question."""
        a, b, units = self.read(source)
        return self.notation.write(add(a, b, self.notation.base), units)

    def read(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both operands with as many digits as their sum, units first, and the units' hint ``[B, 1]``."""
        length = self._length((source.shape[1] - 1) // self.notation.width)
        a, b, units = self.notation.operands(source, length + self.padding)
        places = length + self.room
        return F.pad(a, (0, places - a.shape[1])), F.pad(b, (0, places - b.shape[1])), units

    def _length(self, digits: int) -> int:
        """Return the length of questions with so many digits: the second operand has one, or ``shorter`` fewer."""
        drawn = digits - 2 * self.padding
        return min(drawn - 1, (drawn + self.shorter) // 2)
