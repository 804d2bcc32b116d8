"""Binary multiplication: multiply two numbers, every bit of one with every bit of the other.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), binary multiplication, a context-sensitive task.
"""

from torch import Tensor

from tasks.arithmetic import _binary
from tasks.arithmetic._digits import carry_columns, convolve
from tasks.base import Stream, Task


class BinaryMultiplication(Task):
    """Multiply two binary numbers, the units first.

    The length is that of the source including the sign. The other tokens are split uniformly between the numbers, and
    each number is uniform from 1 to the largest one of its size. The answer ends with the highest bit and ``$``. (The
    authors' code fills lengths 1 and 2 with zeros; here they do not exist.)

    Examples:
        0 0 1 * 0 1 1 0 1 -> 0 0 0 1 1 0 1 $ .
        1 1 * 1 1 -> 1 0 0 1 $
        1 * 1 -> 1 $ .
    """

    symbols = ("0", "1", "*", "$")
    answer = "readout"
    lengths = range(3, 1 << 24)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw two positive numbers."""
        return _binary.draw_operands(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Convolve the bits, then carry; the column sums are at most the size of a number."""
        size = source.shape[1]
        return _binary.write_number(carry_columns(convolve(*_binary.read_operands(source), size), 2, size))
