"""Mode: the most frequent letter, found by counting all of them at once.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): mode has a short RASP-L program, and a scratchpad hurts.
The scratchpad's format is ours, the letters in the order of their counts; we know no program for it.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Answer, Stream, Task
from tasks.limits import within
from tasks.rasp._programs import mode

LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Mode(Task):
    """Which letter is most frequent? Of several, the last in the alphabet, but no question drawn is such a tie.

    The letters are drawn uniformly. Where two or more share the first place, one of them, at random, takes an
    occurrence from another: no letter is the answer more often than another.

    Args:
        alphabet: number of letters, 2 to 26.
        scratchpad: write all letters that occur, from the rarest to the most frequent; the last is the answer, and only
            it is graded (and that it comes last). Of equally many the first in the alphabet comes first.

    Examples:
        a b b c -> b
        a b a b -> b        (a tie)
        scratchpad=true: c b b a b c -> a c b . .
        scratchpad=true: e -> e . . . .
    """

    paper = "Zhou et al. 2023 (arXiv 2310.16028), mode and mode with a scratchpad"

    def __init__(self, *, alphabet: int = 5, scratchpad: bool = False) -> None:
        within("alphabet", alphabet, 2, len(LETTERS))
        self.scratchpad = scratchpad
        self.symbols = tuple(LETTERS[:alphabet])
        self.answer: Answer = "generate" if scratchpad else "readout"
        self.program = None if scratchpad else mode

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters, then break the ties."""
        letters = stream.integers(len(self.symbols), length)
        times = self._times(letters)
        order = times * len(self.symbols) + stream.permutation(len(self.symbols))
        winner, loser = order.topk(2, dim=1).indices.split(1, dim=1)
        times_of_loser = times.gather(1, loser)
        tie = times_of_loser == times.gather(1, winner)
        which = 1 + stream.integers(times_of_loser, 1)
        given = (letters == loser) & ((letters == loser).cumsum(1) == which)
        return torch.where(tie & given, winner, letters)

    def solve(self, source: Tensor) -> Tensor:
        """Order the letters by how often they occur, then alphabetically."""
        times = self._times(source)
        place = torch.arange(len(self.symbols), device=source.device)
        key = times * len(self.symbols) + place
        if not self.scratchpad:
            return key.argmax(dim=1, keepdim=True)
        absent = times == 0
        order = key.masked_fill(absent, 1 << 40).argsort(dim=1)
        return order.masked_fill(place >= (~absent).sum(1, keepdim=True), IGNORE)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Count the last letter of each row."""
        asked = (target >= 0) & (target < len(self.symbols))
        place = torch.arange(1, target.shape[1] + 1, device=target.device)
        last = (asked * place).amax(dim=1, keepdim=True)
        return prediction == target, asked & (place == last)

    def _times(self, letters: Tensor) -> Tensor:
        """Count each letter, long ``[B, A]``."""
        times = letters.new_zeros(len(letters), len(self.symbols))
        return times.scatter_add(1, letters, torch.ones_like(letters))
