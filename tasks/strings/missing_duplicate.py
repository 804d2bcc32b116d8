"""Missing duplicate: find the symbol that is hidden in one of two equal halves.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), missing duplicate, a context-sensitive task.

With one hidden symbol, as in the paper, the task has a shortcut: the missing letter is the one that occurs an odd
number of times, so counting modulo 2 answers every question. With ``holes=2`` counting says nothing about which letter
is behind which hole.
"""

from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.strings._letters import letter_symbols
from tasks.validation import LetterCount


class MissingDuplicate(Task):
    """Write the symbol that the first ``_`` hides.

    The source is a string written twice, with one symbol, at a uniform position, replaced by ``_``. The length is that
    of the source and always even. (The authors' code also has odd lengths, with one symbol of padding at the end.)

    Args:
        alphabet: number of letters, 1 to 26; letters are drawn uniformly (the paper has 2).
        holes: number of hidden symbols, 1 as in the paper or 2. Two holes are uniform positions that
            are not copies of each other, so the length is at least 4.

    Examples:
        a b b a _ b -> b
        _ b a b -> a
        b _ -> b
        alphabet=26: x y z x y _ -> z
        holes=2: a _ _ b -> b
        holes=2: a b b _ b _ -> a
    """

    answer = "readout"
    lengths = range(2, 1 << 24, 2)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def __init__(self, *, alphabet: LetterCount = 2, holes: Annotated[int, Interval(ge=1, le=2)] = 1) -> None:
        self.symbols = (*letter_symbols(alphabet), "_")
        self.hidden, self.holes = alphabet, holes
        if holes == 1:
            self.known_shortcuts = ("counts modulo 2 and 3",)
        else:
            self.lengths = range(4, 1 << 24, 2)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly, repeat them, and hide symbols at uniform positions."""
        twice = stream.integers(self.hidden, length // 2).repeat(1, 2)
        hole = stream.integers(length, 1)
        if self.holes == 1:
            return twice.scatter(1, hole, self.hidden)
        distance = 1 + stream.integers(length - 2, 1)
        distance = distance + (distance >= length // 2)  # the copy of the first hole stays visible
        holes = torch.cat((hole, torch.remainder(hole + distance, length)), dim=1)
        return twice.scatter(1, holes, self.hidden)

    def solve(self, source: Tensor) -> Tensor:
        """Return the symbol half a length away from the first hidden one."""
        position = (source == self.hidden).long().argmax(dim=1, keepdim=True)
        return source.gather(1, torch.remainder(position + source.shape[1] // 2, source.shape[1]))
