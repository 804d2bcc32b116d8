"""Shuffle-Dyck: brackets of several kinds, where each kind is balanced independently of the others.

It requires a counter for each kind, while a Dyck language requires a stack. Bhattamishra et al. 2020 ("On the Ability
and Limitations of Transformers to Recognize Formal Languages"), Shuffle-k.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import BRACKETS, BracketKinds, Counted, heights
from tasks.languages import Ask


class ShuffleDyck(Counted):
    """Recognise shuffles of well-nested strings, one for each kind of bracket, or name the symbols that may come next.

    Every pair of brackets has a uniform kind and a uniform pair of positions. The number of open brackets of each kind
    is then a random walk that returns to zero, reflected at zero. For ``recognise``, the non-members have one bracket
    changed or two exchanged.

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

    def __init__(self, *, kinds: BracketKinds = 2, ask: Ask = "recognise") -> None:
        letters = BRACKETS[: 2 * kinds]
        opening, closing = letters[::2], letters[1::2]
        # One set of continuations for every non-empty set of kinds with open brackets.
        inside = [
            opening + "".join(closing[kind] for kind in range(kinds) if mask >> kind & 1)
            for mask in range(1, 1 << kinds)
        ]
        super().__init__(letters, [opening + "$", *inside], ask)
        self.kinds = kinds

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw positions and kinds of pairs, then reflect the walk of each kind at zero."""
        slot = stream.permutation(length)  # slots 2 i and 2 i + 1 belong to pair i
        kind = stream.integers(self.kinds, length // 2).gather(1, slot // 2)
        walks = heights(self._one_hot(kind) * (2 * (slot % 2) - 1)[..., None]).abs()
        return 2 * kind + (walks.diff(dim=1).sum(2) < 0).long()

    def _one_hot(self, kind: Tensor) -> Tensor:
        """Return kinds as one-hot vectors, long ``[B, N, kinds]``."""
        return (kind[..., None] == torch.arange(self.kinds, device=kind.device)).long()

    def is_member(self, word: Tensor) -> Tensor:
        """Check that no kind has more closing than opening brackets, and that all are closed at the end."""
        open_count = self._open_count(word)
        return ((open_count >= 0).all(1) & (open_count[:, -1] == 0)).all(1)

    def legal_next(self, word: Tensor) -> Tensor:
        """Allow all opening brackets, the closing brackets of open kinds, and the end if no bracket is open."""
        may_close = self._open_count(word) > 0
        letters = torch.stack((torch.ones_like(may_close), may_close), dim=-1).flatten(2)
        return torch.cat((letters, ~may_close.any(2, keepdim=True)), dim=2)

    def _open_count(self, word: Tensor) -> Tensor:
        """Return how many brackets of each kind are open after each position, long ``[B, N, kinds]``."""
        return (self._one_hot(word // 2) * (1 - 2 * (word % 2))[..., None]).cumsum(1)
