"""Binary addition: add two numbers of different lengths, which requires aligning their bits.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), binary addition, a context-sensitive task.
"""

import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic import _binary
from tasks.arithmetic._digits import add
from tasks.base import Stream, Task


class BinaryAddition(Task):
    """Add two binary numbers, the units first.

    The length is that of the source including the sign. The other tokens are split uniformly between the numbers, and
    each number is uniform from 1 to the largest one of its size. The answer ends with the highest bit and ``$``. (The
    authors' code also has lengths 1 and 2, single numbers; here they do not exist.)

    Examples:
        0 0 1 + 0 1 1 0 1 -> 0 1 0 1 1 $ . . . .
        1 1 + 1 -> 0 0 1 $ .
        1 + 1 0 0 -> 0 1 $ . . .
    """

    symbols = ("0", "1", "+", "$")
    answer = "readout"
    lengths = range(3, 1 << 24)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw two positive numbers."""
        return _binary.draw_operands(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Add, with one more place for the end token."""
        a, b = _binary.read_operands(source)
        return _binary.write_number(F.pad(add(a, b, 2), (0, 1)))
