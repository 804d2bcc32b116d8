"""Interleaved majority: several majorities at once, told apart by position modulo their number.

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), binary majority
interleave: counting as in majority, and positions that repeat, which need a position encoding.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within


class InterleavedMajority(Task):
    """Of each of several interleaved bit strings: are there strictly more ones than zeros? A tie is answered 0.

    The length is that of all strings together, a multiple of their number. Bits are fair, but half of the ties of each
    string are tipped by turning one of its zeros into a one, as in ``majority``.

    Args:
        strings: how many are interleaved (the paper has 3); the answer has a token for each.

    Examples:
        1 0 0 1 0 1 -> 1 0 0        (11, 00 and 01)
        1 0 1 -> 1 0 1
        strings=2: 1 0 0 1 1 1 -> 1 1
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), binary majority interleave"

    def __init__(self, *, strings: int = 3) -> None:
        within("strings", strings, 1)
        self.strings = strings
        self.lengths = range(strings, 1 << 24, strings)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits, then tip half of each string's ties."""
        each = length // self.strings
        bits = stream.integers(2, each, self.strings)
        tipped = (2 * bits.sum(1, keepdim=True) == each) & stream.integers(2, 1, self.strings).bool()
        which = 1 + stream.integers(max(each // 2, 1), 1, self.strings)
        chosen = (bits == 0) & ((1 - bits).cumsum(1) == which)
        return torch.where(tipped & chosen, 1, bits).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Compare twice the number of ones of each string with its length."""
        bits = source.unflatten(1, (-1, self.strings))
        return (2 * bits.sum(1) > bits.shape[1]).long()
