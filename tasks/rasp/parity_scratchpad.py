"""Parity with a scratchpad: what no short program says at once, one can say step by step.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): parity has no short RASP-L program that is known,
but writing down intermediate parities has one. Index hints, as in addition, let a model find its place by matching. The
symbols and the layout are ours.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import one_of, within
from tasks.rasp._programs import parity_ones, parity_running

BITS = 2


class ParityScratchpad(Task):
    """Is the number of ones odd? Write the parities on the way; only the last one, the answer, is graded.

    The length is the number of bits, which are fair. Before each stands its hint; hints are consecutive, from a random
    one on. The answer begins with 0, the parity of nothing. Graded with the answer is that it comes last.

    Args:
        scratchpad: ``running`` writes for each bit its hint and the parity so far, ``ones`` only for the ones.
        hints: number of hint symbols ``#0``, ``#1``, ...; no question is longer.

    Examples:
        #4 1 #5 0 #6 1 -> 0 #4 1 #5 1 #6 0
        #0 0 -> 0 #0 0
        scratchpad=ones: #4 1 #5 0 #6 1 -> 0 #4 1 #6 0 . .
        scratchpad=ones: #0 0 -> 0 . .
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), parity with a scratchpad"

    def __init__(self, *, scratchpad: Literal["running", "ones"] = "running", hints: int = 100) -> None:
        one_of("scratchpad", scratchpad, ("running", "ones"))
        within("hints", hints, 1)
        self.hints, self.ones = hints, scratchpad == "ones"
        self.symbols = ("0", "1", *(f"#{hint}" for hint in range(hints)))
        self.lengths = range(1, hints + 1)
        self.program = (parity_ones if self.ones else parity_running)(BITS)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw fair bits and the window of their hints."""
        bits = stream.integers(2, length)
        first = BITS + stream.integers(self.hints - length + 1, 1)
        return torch.stack((first + torch.arange(length, device=bits.device), bits), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Write hints and parities, those of the ones moved together."""
        hint, bits = source.unflatten(1, (-1, 2)).unbind(-1)
        steps = torch.stack((hint, bits.cumsum(1) % 2), dim=-1)  # [B, N, 2]
        if self.ones:
            order = (1 - bits).argsort(dim=1, stable=True)[..., None].expand_as(steps)
            steps = steps.masked_fill(bits[..., None] == 0, IGNORE).gather(1, order)
        return torch.cat((torch.zeros_like(bits[:, :1]), steps.flatten(1)), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Count the last parity of each row."""
        asked = (target >= 0) & (target < len(self.symbols))
        place = torch.arange(1, target.shape[1] + 1, device=target.device)
        last = (asked * place).amax(dim=1, keepdim=True)
        return prediction == target, asked & (place == last)
