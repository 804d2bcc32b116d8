"""Languages that counters decide, with non-members that differ little from members."""

from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream
from tasks.languages import Language

BRACKETS = "()[]<>{}"
BracketKinds = Annotated[int, Interval(ge=1, le=len(BRACKETS) // 2)]

TRIES = 4
"""Number of random exchanges among which a non-member is sought."""


class Counted(Language):
    """A language in which changing one letter of a word breaks a count, so that the word leaves the language.

    For ``recognise``, half of the words belong to the language. Half of the others have one letter changed. The rest
    have two letters exchanged, which keeps the counts and breaks the order; if none of :data:`TRIES` random exchanges
    leaves the language, one letter is changed instead.
    """

    def draw_mixed(self, length: int, stream: Stream) -> Tensor:
        """Draw words of the language and corrupt half of them."""
        word = self.draw(length, stream)
        return torch.where(stream.integers(2, 1).bool(), word, self.corrupt(word, stream))

    def corrupt(self, word: Tensor, stream: Stream) -> Tensor:
        """Turn words ``[B, N]`` of the language into similar words outside of it."""
        changed, exchanged = self._change(word, stream), self._exchange(word, stream)
        outside = ~self.is_member(exchanged.flatten(0, 1)).view(-1, TRIES)
        # The first exchange that leaves the language has the largest score.
        score = outside.long() * torch.arange(TRIES, 0, -1, device=word.device)
        first = exchanged[torch.arange(len(word), device=word.device), score.argmax(1)]
        use_exchange = stream.integers(2, 1).bool() & outside.any(1, keepdim=True)
        return torch.where(use_exchange, first, changed)

    def _change(self, word: Tensor, stream: Stream) -> Tensor:
        """Replace one letter by another."""
        position = stream.integers(word.shape[1], 1)
        offset = 1 + stream.integers(len(self.letters) - 1, 1)
        return word.scatter(1, position, (word.gather(1, position) + offset) % len(self.letters))

    def _exchange(self, word: Tensor, stream: Stream) -> Tensor:
        """Exchange the letters at two random positions, in ``TRIES`` independent copies: long ``[B, TRIES, N]``."""
        positions = stream.integers(word.shape[1], TRIES, 2)
        words = word[:, None].expand(-1, TRIES, -1)
        return words.scatter(2, positions, words.gather(2, positions.flip(2)))


def draw_walk(length: int, stream: Stream) -> Tensor:
    """Draw the steps 1 and -1 of a uniform walk that returns to zero: long ``[B, N]`` for even N."""
    return 2 * (stream.permutation(length) % 2) - 1


def heights(steps: Tensor) -> Tensor:
    """Return the height of a walk before its first step and after every step: long ``[B, N + 1, ...]``."""
    return torch.cat((torch.zeros_like(steps[:, :1]), steps.cumsum(1)), dim=1)
