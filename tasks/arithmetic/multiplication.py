"""Multiplication: multiply a long number by a short one; carries are digits instead of bits.

A multiplier of one digit is a constant that a model has to remember. With more digits, every digit of the product is a
sum over several places. Only the length of the other operand grows. Products of two long numbers are studied by McLeish
et al. 2024 ("Transformers Can Do Arithmetic with the Right Embeddings"); the protocol with a fixed multiplier is ours.
"""

from torch import Tensor

from tasks.arithmetic._digits import Base, Notation, Order, multiply
from tasks.base import Stream, Task
from tasks.validation import Positive


class Multiplication(Task):
    """Multiply a number by one with ``digits`` digits.

    The length is that of the first operand. Digits are uniform, including leading zeros. The answer always has
    ``length + digits`` digits, with leading zeros if it needs fewer, so that a batch has one shape.

    Args:
        digits: length of the second operand.
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units last, ``reversed`` writes them first, in operands and answer, and
            ``reversed_answer`` writes them first only in the answer.

    Examples:
        5 4 * 7 -> 3 7 8
        1 2 * 3 -> 0 3 6
        digits=2: 9 9 * 9 9 -> 9 8 0 1
        digits=3: 4 * 1 2 5 -> 0 5 0 0
        base=16: f f * f -> e f 1
        order=reversed: 4 5 * 7 -> 8 7 3
        order=reversed_answer: 5 4 * 7 -> 8 7 3
        digits=2,order=reversed: 2 1 * 5 0 -> 0 6 0 0
    """

    answer = "generate"
    paper = "McLeish et al. 2024 (arXiv 2405.17399), multiplication; the multiplier's length is fixed here"

    def __init__(self, *, digits: Positive = 1, base: Base = 10, order: Order = "forward") -> None:
        self.notation = Notation("*", base, order)
        self.digits, self.symbols = digits, self.notation.symbols

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits."""
        base = self.notation.base
        return self.notation.write_source(stream.integers(base, length), stream.integers(base, self.digits))

    def solve(self, source: Tensor) -> Tensor:
        """Multiply and write the product."""
        a, b, _ = self.notation.read_operands(source, source.shape[1] - 1 - self.digits)
        return self.notation.write_answer(multiply(a, b, self.notation.base))
