"""Binary multiplication: every bit of one number meets every bit of the other.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), binary multiplication, a context-sensitive task.
"""

from torch import Tensor

from tasks.arithmetic import _binary
from tasks.arithmetic._digits import convolve, normalized
from tasks.base import Stream, Task


class BinaryMultiplication(Task):
    """Multiply two binary numbers, the units first.

    The length is that of the question with its sign. The places left by the sign are split uniformly between the
    numbers, each of which is uniform from 1 to what its places hold. The product ends with its highest bit and is
    closed by ``$``. (The authors' code fills lengths 1 and 2 with zeros; here there are none.)

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
        """Convolve the bits, then carry; a column of the convolution is at most as large as a number is long."""
        size = source.shape[1]
        return _binary.write_number(normalized(convolve(*_binary.read_operands(source), size), 2, size))
