"""Sum modulo m: add digits modulo m, which takes a memory of m states.

A task of Kazemnejad et al. 2023 ("The Impact of Positional Encoding on Length Generalization in Transformers"). With
``modulus=2`` it is parity. In cycle_navigation, the steps are only 0, 1 and -1.
"""

from torch import Tensor

from tasks.arithmetic._digits import DIGITS, Base
from tasks.base import Stream, Task


class SumModulo(Task):
    """Write the remainder of the sum of all digits after division by the modulus.

    The length is the number of digits. Digits are uniform, and so is the answer.

    Args:
        modulus: 2 to 36. The digits are those below it: ``0`` to ``9``, then ``a`` to ``z``.

    Examples:
        5 9 8 -> 2
        7 -> 7
        9 1 0 -> 0
        modulus=2: 1 0 1 1 -> 1
        modulus=5: 4 3 4 -> 1
        modulus=16: f f 3 -> 1
    """

    answer = "readout"
    paper = "Kazemnejad et al. 2023 (arXiv 2305.19466), summation"

    def __init__(self, *, modulus: Base = 10) -> None:
        self.modulus, self.symbols = modulus, tuple(DIGITS[:modulus])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits."""
        return stream.integers(self.modulus, length)

    def solve(self, source: Tensor) -> Tensor:
        """Sum the digits modulo ``modulus``."""
        return source.sum(dim=1, keepdim=True) % self.modulus
