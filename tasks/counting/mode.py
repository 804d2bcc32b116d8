"""Mode: find the most frequent letter by counting all letters in parallel.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): mode has a short RASP-L program, and a scratchpad hurts.
The format of the scratchpad, letters in the order of their counts, is ours; we know no program for it.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import IGNORE, Answer, Stream, Task
from tasks.rasp._programs import mode
from tasks.validation import SeveralLetters


class Mode(Task):
    """Write the most frequent letter; in a tie, the last one in the alphabet (but no source that is drawn has a tie).

    The letters are drawn uniformly. If several letters are most frequent, one of them, drawn at random, replaces one
    occurrence of another. All letters are therefore the answer equally often.

    Args:
        alphabet: number of letters, 2 to 26.
        scratchpad: write all letters that occur, from the rarest to the most frequent, and equally frequent ones in
            alphabetical order. The last letter is the answer; only it is graded, including that it comes last.

    Examples:
        a b b c -> b
        a b a b -> b        (a tie)
        scratchpad=true: c b b a b c -> a c b . .
        scratchpad=true: e -> e . . . .
    """

    paper = "Zhou et al. 2023 (arXiv 2310.16028), mode and mode with a scratchpad"
    algorithm_readers = ("bag of symbols",)

    def __init__(self, *, alphabet: SeveralLetters = 5, scratchpad: bool = False) -> None:
        self.scratchpad = scratchpad
        self.symbols = tuple(ascii_lowercase[:alphabet])
        self.answer: Answer = "generate" if scratchpad else "readout"
        self.program = None if scratchpad else mode

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters, then break the ties."""
        letters = stream.integers(len(self.symbols), length)
        counts = self._counts(letters)
        order = counts * len(self.symbols) + stream.permutation(len(self.symbols))
        winner, loser = order.topk(2, dim=1).indices.split(1, dim=1)
        loser_count = counts.gather(1, loser)
        tied = loser_count == counts.gather(1, winner)
        rank = 1 + stream.integers(loser_count, 1)
        replaced = (letters == loser) & ((letters == loser).cumsum(1) == rank)
        return torch.where(tied & replaced, winner, letters)

    def solve(self, source: Tensor) -> Tensor:
        """Order the letters by how often they occur, then alphabetically."""
        counts = self._counts(source)
        index = torch.arange(len(self.symbols), device=source.device)
        key = counts * len(self.symbols) + index
        if not self.scratchpad:
            return key.argmax(dim=1, keepdim=True)
        absent = counts == 0
        order = key.masked_fill(absent, 1 << 40).argsort(dim=1)
        return order.masked_fill(index >= (~absent).sum(1, keepdim=True), IGNORE)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade only the last letter of each row."""
        is_letter = (target >= 0) & (target < len(self.symbols))
        position = torch.arange(1, target.shape[1] + 1, device=target.device)
        last = (is_letter * position).amax(dim=1, keepdim=True)
        return prediction == target, is_letter & (position == last)

    def _counts(self, letters: Tensor) -> Tensor:
        """Count each letter, long ``[B, A]``."""
        counts = letters.new_zeros(len(letters), len(self.symbols))
        return counts.scatter_add(1, letters, torch.ones_like(letters))
