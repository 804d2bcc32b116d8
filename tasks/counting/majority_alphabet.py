"""Majority over an alphabet: find the most frequent letter.

Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers"), majority: a counter
for each letter, and their maximum.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.languages import draw_true_index
from tasks.validation import SeveralLetters


class MajorityAlphabet(Task):
    """Write the letter that occurs most often in the string.

    Letters are uniform. In a tie, one of the most frequent letters, drawn at random, replaces some other letter at one
    position, which breaks the tie. (If a source has a tie nevertheless, the first letter in the alphabet is correct.)

    Args:
        alphabet: number of letters, 2 to 26 (the paper has 26).

    Examples:
        b a b c -> b
        a z -> a
        alphabet=2: b a b -> b
    """

    answer = "readout"
    paper = "Huang et al. 2025 (arXiv 2410.02140), majority"
    algorithm_readers = ("bag of symbols",)

    def __init__(self, *, alphabet: SeveralLetters = 26) -> None:
        self.symbols = tuple(ascii_lowercase[:alphabet])

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly and break ties."""
        word = stream.integers(len(self.symbols), length)
        count = self._count(word)
        best = count == count.amax(1, keepdim=True)
        winner = draw_true_index(best, stream)
        position = draw_true_index(word != winner, stream)
        tied = best.sum(1, keepdim=True) > 1
        return torch.where(tied, word.scatter(1, position, winner), word)

    def solve(self, source: Tensor) -> Tensor:
        """Return the letter of the largest count, the first among equals."""
        order = torch.arange(len(self.symbols), device=source.device)
        return (self._count(source) * len(order) - order).argmax(1, keepdim=True)

    def _count(self, word: Tensor) -> Tensor:
        """Return how often each letter occurs, long ``[B, A]``."""
        return word.new_zeros(len(word), len(self.symbols)).scatter_add(1, word, torch.ones_like(word))
