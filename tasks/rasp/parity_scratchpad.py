"""Parity with a scratchpad: write the parities of prefixes before the answer.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): no short RASP-L program is known for parity, but there is
one that writes down intermediate parities. Index hints, as in addition, let a model find the next bit by matching. The
symbols and the layout are ours.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.rasp._programs import parity_ones, parity_running
from tasks.validation import Positive

BITS = 2


class ParityScratchpad(Task):
    """Decide whether the number of ones is odd: write intermediate parities; only the last one is graded.

    The length is the number of bits, which are fair. A hint precedes each bit; hints are consecutive and start at a
    random one. The answer starts with 0, the parity of the empty string. The last parity is correct only if it comes
    last.

    Args:
        scratchpad: ``running`` writes the hint of each bit and the parity so far, ``ones`` does so only for ones.
        hints: number of hint symbols ``#0``, ``#1``, ..., which is also the longest length.

    Examples:
        #4 1 #5 0 #6 1 -> 0 #4 1 #5 1 #6 0
        #0 0 -> 0 #0 0
        scratchpad=ones: #4 1 #5 0 #6 1 -> 0 #4 1 #6 0 . .
        scratchpad=ones: #0 0 -> 0 . .
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), parity with a scratchpad"

    def __init__(self, *, scratchpad: Literal["running", "ones"] = "running", hints: Positive = 100) -> None:
        self.hints, self.ones = hints, scratchpad == "ones"
        self.symbols = ("0", "1", *(f"#{hint}" for hint in range(hints)))
        self.lengths = range(1, hints + 1)
        self.program = (parity_ones if self.ones else parity_running)(BITS)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits and the first hint."""
        bits = stream.integers(2, length)
        first = BITS + stream.integers(self.hints - length + 1, 1)
        return torch.stack((first + torch.arange(length, device=bits.device), bits), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Return hints and parities; with ``ones``, first those of the ones and then ``IGNORE``."""
        hint, bits = source.unflatten(1, (-1, 2)).unbind(-1)
        steps = torch.stack((hint, bits.cumsum(1) % 2), dim=-1)  # [B, N, 2]
        if self.ones:
            order = (1 - bits).argsort(dim=1, stable=True)[..., None].expand_as(steps)
            steps = steps.masked_fill(bits[..., None] == 0, IGNORE).gather(1, order)
        return torch.cat((torch.zeros_like(bits[:, :1]), steps.flatten(1)), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade only the last parity of each row."""
        is_symbol = (target >= 0) & (target < len(self.symbols))
        position = torch.arange(1, target.shape[1] + 1, device=target.device)
        last = (is_symbol * position).amax(dim=1, keepdim=True)
        return prediction == target, is_symbol & (position == last)
