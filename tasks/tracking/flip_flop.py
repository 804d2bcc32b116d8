"""Flip-flop: remember one bit through any number of distractions.

Liu et al. 2023 ("Exposing Attention Glitches with Flip-Flop Language Modeling"). A string is a run of instructions,
each followed by a bit: ``w`` writes its bit, ``i`` ignores it, and after ``r`` stands the bit last written.
Transformers make sporadic errors on it, the glitches of the title.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task


class FlipFlop(Task):
    """Say at each read which bit was written last.

    The length is that of the string, two tokens an instruction, so it is even. The first instruction writes, the last
    reads; each other one ignores with the given probability, and else writes or reads with equal ones. Bits are fair.
    Labels stand at ``r`` alone, one token before the string itself shows the bit: only online models may be asked.

    Args:
        ignore: probability of ``i``. The paper trains at 0.8 and tests also at 0.98 (sparse) and 0.1 (dense).

    Examples:
        w 1 r 1 -> . . 1 .
        w 0 i 1 r 0 w 1 r 1 -> . . . . 0 . . . 1 .
        ignore=0.98: w 1 i 0 i 0 r 1 -> . . . . . . 1 .
    """

    symbols = ("0", "1", "w", "i", "r")
    answer = "tag"
    lengths = range(4, 1 << 24, 2)
    online = True
    paper = "Liu et al. 2023 (arXiv 2306.00946), FFL(p)"

    def __init__(self, *, ignore: float = 0.8) -> None:
        if not 0 <= ignore <= 1:
            raise ValueError(f"ignore={ignore}: must be from 0 to 1; the nearest is {0 if ignore < 0 else 1}")
        self.ignore = ignore

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw instructions, then bits; a read shows what was written."""
        write, read = self.symbols.index("w"), self.symbols.index("r")
        chance = stream.uniform(length // 2)
        told = torch.where(chance < (1 + self.ignore) / 2, write, read)
        told = torch.where(chance < self.ignore, self.symbols.index("i"), told)
        told[:, 0], told[:, -1] = write, read
        bits = stream.integers(2, length // 2)
        bits = torch.where(told == read, self._memory(told, bits), bits)
        return torch.stack((told, bits), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Answer at reads from the last write."""
        told, bits = source[:, ::2], source[:, 1::2]
        answer = torch.where(told == self.symbols.index("r"), self._memory(told, bits), IGNORE)
        return torch.stack((answer, torch.full_like(answer, IGNORE)), dim=-1).flatten(1)

    def _memory(self, told: Tensor, bits: Tensor) -> Tensor:
        """Return the bit last written at each instruction, long ``[B, N]``."""
        place = torch.arange(told.shape[1], device=told.device)
        last = torch.where(told == self.symbols.index("w"), place, 0).cummax(1).values
        return bits.gather(1, last)
