"""Shuffle-Dyck: brackets of several kinds, each kind matched on its own, whatever stands between.

A counter for each kind decides it where a Dyck language would take a stack. Bhattamishra et al. 2020 ("On the Ability
and Limitations of Transformers to Recognize Formal Languages"), Shuffle-k.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import Counted, heights
from tasks.languages import Ask
from tasks.limits import within

BRACKETS = "()[]<>{}"


class ShuffleDyck(Counted):
    """Know the shuffles of well-nested strings, one for each kind of bracket.

    Every pair has a uniform kind and a uniform pair of places. The open brackets of each kind then are a random walk
    that returns to zero, reflected there. Where words are to be recognised, the others differ by one bracket, or by two
    that have changed places.

    Args:
        kinds: kinds of brackets, 1 to 4: ``()``, ``[]``, ``<>``, ``{}``.
        ask: ``recognise`` (half of the words belong to it), ``next`` (name a symbol that may come next, ``$`` for the
            end) or ``sets`` (name all of them).

    Examples:
        ( [ ) ] -> 1
        ( ] [ ) -> 0
        ( ( ) ] -> 0
        ask=sets: ( [ ) ] -> (|)|[ (|)|[|] (|[|] (|[|$
        ask=next: ( [ ) ] -> [ ) ] $
    """

    lengths = range(2, 1 << 24, 2)
    paper = "Bhattamishra et al. 2020 (arXiv 2009.11264), Shuffle-k"

    def __init__(self, *, kinds: int = 2, ask: Ask = "recognise") -> None:
        within("kinds", kinds, 1, len(BRACKETS) // 2)
        letters = BRACKETS[: 2 * kinds]
        opening, closing = letters[::2], letters[1::2]
        chosen = [[bool(mask >> kind & 1) for kind in range(kinds)] for mask in range(1, 1 << kinds)]
        inside = [opening + "".join(closing[kind] for kind in range(kinds) if mask[kind]) for mask in chosen]
        super().__init__(letters, [opening + "$", *inside], ask)
        self.kinds = kinds

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw places and kinds of pairs, then reflect each kind's walk at zero."""
        place = stream.permutation(length)
        kind = stream.integers(self.kinds, length // 2).gather(1, place // 2)
        walks = heights(self._apart(kind) * (2 * (place % 2) - 1)[..., None]).abs()
        return 2 * kind + (walks.diff(dim=1).sum(2) < 0).long()

    def _apart(self, kind: Tensor) -> Tensor:
        """One-hot, ``[B, N, kinds]``."""
        return (kind[..., None] == torch.arange(self.kinds, device=kind.device)).long()

    def member(self, word: Tensor) -> Tensor:
        """Close nothing that is not open, and leave nothing open."""
        opened = self._opened(word)
        return ((opened >= 0).all(1) & (opened[:, -1] == 0)).all(1)

    def legal(self, word: Tensor) -> Tensor:
        """Open anything, close what is open, end when nothing is."""
        close = self._opened(word) > 0
        letters = torch.stack((torch.ones_like(close), close), dim=-1).flatten(2)
        return torch.cat((letters, ~close.any(2, keepdim=True)), dim=2)

    def _opened(self, word: Tensor) -> Tensor:
        """Return how many brackets of each kind are open after each place, long ``[B, N, kinds]``."""
        return (self._apart(word // 2) * (1 - 2 * (word % 2))[..., None]).cumsum(1)
