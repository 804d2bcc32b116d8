"""Count: count from one number up to another; each token depends on the previous one and on the bound.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): their first RASP-L program, ``a b -> a a+1 ... b``.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.rasp._programs import count
from tasks.validation import Positive


class Count(Task):
    """Count from the first number to the second.

    The length is that of the answer; the source always has two tokens. The first number is uniform among those for
    which the answer fits into the alphabet.

    Args:
        numbers: size of the alphabet, tokens ``0`` to ``numbers - 1``, which is also the longest answer.

    Examples:
        3 6 -> 3 4 5 6
        7 7 -> 7
        98 99 -> 98 99
        numbers=4: 0 3 -> 0 1 2 3
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), count"
    program = staticmethod(count)

    def __init__(self, *, numbers: Positive = 100) -> None:
        self.symbols = tuple(str(number) for number in range(numbers))
        self.lengths = range(1, numbers + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the first number; the second follows from the length."""
        first = stream.integers(len(self.symbols) - length + 1, 1)
        return torch.cat((first, first + length - 1), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Count up; shorter answers are ignored beyond their end."""
        first, last = source.split(1, dim=1)
        # The shape of the source does not determine the length of the answer, so it is read back from the device.
        longest = int((last - first).max()) + 1
        answer = first + torch.arange(longest, device=source.device)
        return answer.masked_fill(answer > last, IGNORE)
