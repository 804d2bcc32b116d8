"""Languages decided by counters, and the near misses to tell their words from."""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.languages import Language

TRIES = 4


class Counted(Language):
    """A language that a word leaves as soon as one letter is another, since that breaks a count.

    To be recognised, half of the words belong to it. Half of the others have one letter changed; the rest have two
    letters exchanged, which keeps the counts and breaks the order (if one of a few exchanges does, else as before).
    """

    def mixed(self, length: int, stream: Stream) -> Tensor:
        """Spoil half of the words."""
        word = self.draw(length, stream)
        return torch.where(stream.integers(2, 1).bool(), word, self.spoil(word, stream))

    def spoil(self, word: Tensor, stream: Stream) -> Tensor:
        """Turn words ``[B, N]`` of the language into others that nearly belong to it."""
        changed, exchanged = self._change(word, stream), self._exchange(word, stream)
        outside = ~self.member(exchanged.flatten(0, 1)).view(-1, TRIES)
        best = outside.long() * torch.arange(TRIES, 0, -1, device=word.device)
        first = exchanged[torch.arange(len(word), device=word.device), best.argmax(1)]
        counts_kept = stream.integers(2, 1).bool() & outside.any(1, keepdim=True)
        return torch.where(counts_kept, first, changed)

    def _change(self, word: Tensor, stream: Stream) -> Tensor:
        """Replace one letter by another."""
        place = stream.integers(word.shape[1], 1)
        other = 1 + stream.integers(len(self.letters) - 1, 1)
        return word.scatter(1, place, (word.gather(1, place) + other) % len(self.letters))

    def _exchange(self, word: Tensor, stream: Stream) -> Tensor:
        """Exchange the letters of two places, several times over: long ``[B, TRIES, N]``."""
        places = stream.integers(word.shape[1], TRIES, 2)
        words = word[:, None].expand(-1, TRIES, -1)
        return words.scatter(2, places, words.gather(2, places.flip(2)))


def walk(length: int, stream: Stream) -> Tensor:
    """Draw steps 1 and -1 of a walk that returns to zero, all equally likely: long ``[B, N]`` for even N."""
    return 2 * (stream.permutation(length) % 2) - 1


def heights(steps: Tensor) -> Tensor:
    """Return where a walk stands before its first step and after every step: long ``[B, N + 1, ...]``."""
    return torch.cat((torch.zeros_like(steps[:, :1]), steps.cumsum(1)), dim=1)
