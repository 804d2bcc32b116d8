"""Flip-flop: remember one bit through any number of irrelevant tokens.

Liu et al. 2023 ("Exposing Attention Glitches with Flip-Flop Language Modeling"). A string is a sequence of
instructions, each followed by a bit: ``w`` writes its bit, ``i`` ignores it, and ``r`` is followed by the bit last
written. Transformers make sporadic errors on it, the glitches of the title.
"""

from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import IGNORE, Stream, Task


class FlipFlop(Task):
    """Write at each read the bit that was written last.

    The length is that of the string, which is even, with two tokens per instruction. The first instruction writes and
    the last one reads. Each other one ignores with probability ``ignore`` and otherwise writes or reads with equal
    probability. Bits are fair. Only ``r`` has a label, and the next token of the source shows it, so the task suits
    only online models.

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

    def __init__(self, *, ignore: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.8) -> None:
        self.ignore = ignore

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw instructions, then bits; a read is followed by the bit last written."""
        write, read = self.symbols.index("w"), self.symbols.index("r")
        uniform = stream.uniform(length // 2)
        instructions = torch.where(uniform < (1 + self.ignore) / 2, write, read)
        instructions = torch.where(uniform < self.ignore, self.symbols.index("i"), instructions)
        instructions[:, 0], instructions[:, -1] = write, read
        bits = stream.integers(2, length // 2)
        bits = torch.where(instructions == read, self._last_written(instructions, bits), bits)
        return torch.stack((instructions, bits), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Return the bit last written at each read."""
        instructions, bits = source[:, ::2], source[:, 1::2]
        is_read = instructions == self.symbols.index("r")
        answer = torch.where(is_read, self._last_written(instructions, bits), IGNORE)
        return torch.stack((answer, torch.full_like(answer, IGNORE)), dim=-1).flatten(1)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of instructions between the last write and each read."""
        instructions = source[:, ::2]
        index = torch.arange(instructions.shape[1], device=source.device)
        last_write = torch.where(instructions == self.symbols.index("w"), index, 0).cummax(1).values
        between = torch.where(instructions == self.symbols.index("r"), index - last_write - 1, IGNORE)
        return torch.stack((between, torch.full_like(between, IGNORE)), dim=-1).flatten(1)

    def _last_written(self, instructions: Tensor, bits: Tensor) -> Tensor:
        """Return the bit last written at each instruction, long ``[B, N]``."""
        index = torch.arange(instructions.shape[1], device=instructions.device)
        last_write = torch.where(instructions == self.symbols.index("w"), index, 0).cummax(1).values
        return bits.gather(1, last_write)
