"""Majority over an alphabet: which letter is most frequent?

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), majority: a counter
for each letter, and their maximum.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.languages import pick
from tasks.limits import within


class MajorityAlphabet(Task):
    """Which letter stands most often in the string?

    Letters are uniform. Where several are most frequent, one of them, drawn at random, takes the place of some other
    letter, so that it alone is. (In a tie written by hand the first in the alphabet wins.)

    Args:
        alphabet: number of letters, 2 to 26 (the paper has 26).

    Examples:
        b a b c -> b
        a z -> a
        alphabet=2: b a b -> b
    """

    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), majority"

    def __init__(self, *, alphabet: int = 26) -> None:
        within("alphabet", alphabet, 2, len(ascii_lowercase))
        self.symbols = tuple(ascii_lowercase[:alphabet])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly and break ties."""
        word = stream.integers(len(self.symbols), length)
        count = self._count(word)
        best = count == count.amax(1, keepdim=True)
        winner = pick(best, stream)
        place = pick(word != winner, stream)
        tied = best.sum(1, keepdim=True) > 1
        return torch.where(tied, word.scatter(1, place, winner), word)

    def solve(self, source: Tensor) -> Tensor:
        """Return the letter of the largest count, the first among equals."""
        order = torch.arange(len(self.symbols), device=source.device)
        return (self._count(source) * len(order) - order).argmax(1, keepdim=True)

    def _count(self, word: Tensor) -> Tensor:
        """Return how often each letter occurs, long ``[B, A]``."""
        return word.new_zeros(len(word), len(self.symbols)).scatter_add(1, word, torch.ones_like(word))
