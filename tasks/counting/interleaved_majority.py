"""Interleaved majority: solve majority for several strings at once, which are interleaved position by position.

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), binary majority
interleave: counting as in majority, and periodic positions, which need a position encoding.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import Positive


class InterleavedMajority(Task):
    """Decide for each of several interleaved bit strings whether it has more ones than zeros; a tie is answered 0.

    The length is that of all strings together, a multiple of their number. Bits are fair, but half of the ties of each
    string are broken by turning one of its zeros into a one, as in ``majority``.

    Args:
        strings: number of interleaved strings (the paper has 3); the answer has a token for each.

    Examples:
        1 0 0 1 0 1 -> 1 0 0        (11, 00 and 01)
        1 0 1 -> 1 0 1
        strings=2: 1 0 0 1 1 1 -> 1 1
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), binary majority interleave"

    def __init__(self, *, strings: Positive = 3) -> None:
        self.strings = strings
        self.lengths = range(strings, 1 << 24, strings)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits, then break half of the ties of each string."""
        size = length // self.strings
        bits = stream.integers(2, size, self.strings)
        broken = (2 * bits.sum(1, keepdim=True) == size) & stream.integers(2, 1, self.strings).bool()
        rank = 1 + stream.integers(max(size // 2, 1), 1, self.strings)
        flipped = (bits == 0) & ((1 - bits).cumsum(1) == rank)
        return torch.where(broken & flipped, 1, bits).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Compare twice the number of ones of each string with its length."""
        bits = source.unflatten(1, (-1, self.strings))
        return (2 * bits.sum(1) > bits.shape[1]).long()
