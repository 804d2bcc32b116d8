"""Dyck languages: brackets that match, of several kinds and up to a depth.

One kind takes a counter, several a stack. Bhattamishra et al. 2020 ("On the Ability and Limitations of Transformers to
Recognize Formal Languages"); Huang et al. 2025, whose star-free languages D-n are those of one kind and depth n.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import Counted, heights, walk
from tasks.languages import Ask
from tasks.limits import within

BRACKETS = "()[]<>{}"


class Dyck(Counted):
    """Know the well-nested strings of brackets: recognise them, or say what may come next.

    The depth of a word is a random walk that returns to zero, reflected at zero and at the bound; kinds are uniform.
    Where words are to be recognised, the others differ by one bracket, or by two that have changed places.

    Args:
        kinds: kinds of brackets, 1 to 4: ``()``, ``[]``, ``<>``, ``{}``.
        depth: how many brackets may be open at once; 0 for no bound.
        ask: ``recognise`` (half of the words belong to it), ``next`` (name a symbol that may come next, ``$`` for the
            end) or ``sets`` (name all of them).

    Examples:
        ( [ ] ) -> 1
        ( [ ) ] -> 0
        ) ( -> 0
        depth=1: ( ( ) ) -> 0
        kinds=1,ask=sets: ( ) -> (|) (|$
        depth=2,ask=sets: ( [ ] ) -> (|)|[ ] (|)|[ (|[|$
        ask=next: ( [ ] ) -> [ ] ) $
    """

    lengths = range(2, 1 << 24, 2)
    paper = "Huang et al. 2025 (arXiv 2410.02140), Dyck-1 and D-n; Bhattamishra et al. 2020 (arXiv 2009.11264)"

    def __init__(self, *, kinds: int = 2, depth: int = 8, ask: Ask = "recognise") -> None:
        within("kinds", kinds, 1, len(BRACKETS) // 2)
        within("depth", depth, 0)
        opening, closing = BRACKETS[: 2 * kinds : 2], BRACKETS[1 : 2 * kinds : 2]
        inside = [opening + close for close in closing] if depth != 1 else []
        super().__init__(BRACKETS[: 2 * kinds], [opening + "$", *inside, *(closing if depth else "")], ask)
        self.kinds, self.depth = kinds, depth

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Fold a walk into the depths there are, then draw a kind for each pair."""
        bound = self.depth or length
        depth = bound - (bound - heights(walk(length, stream)).abs() % (2 * bound)).abs()
        opens = depth.diff(dim=1) > 0
        kind = stream.integers(self.kinds, length)
        return 2 * kind.gather(1, _latest(opens, _levels(depth))) + (~opens).long()

    def member(self, word: Tensor) -> Tensor:
        """Keep the depth within its bounds, end at zero, and close what was opened."""
        opens, kind, depth = self._read(word)
        bound = self.depth or word.shape[1]
        shaped = (depth >= 0).all(1) & (depth <= bound).all(1) & (depth[:, -1] == 0)
        return shaped & (kind == kind.gather(1, _latest(opens, _levels(depth)))).all(1)

    def legal(self, word: Tensor) -> Tensor:
        """Open below the bound, close the innermost bracket, end outside of all."""
        opens, kind, depth = self._read(word)
        after = depth[:, 1:]
        innermost = kind.gather(1, _latest(opens, after))[..., None]
        close = (innermost == torch.arange(self.kinds, device=word.device)) & (after > 0)[..., None]
        free = (after < (self.depth or word.shape[1] + 1))[..., None].expand_as(close)
        return torch.cat((torch.stack((free, close), dim=-1).flatten(2), (after == 0)[..., None]), dim=2)

    def _read(self, word: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which brackets open, their kinds ``[B, N]``, and the depth before and after each ``[B, N + 1]``."""
        return word % 2 == 0, word // 2, heights(1 - 2 * (word % 2))


def _levels(depth: Tensor) -> Tensor:
    """Return the depth just inside each bracket, long ``[B, N]``; on one level a closing follows its opening one."""
    return torch.maximum(depth[:, 1:], depth[:, :-1])


def _latest(opens: Tensor, level: Tensor) -> Tensor:
    """Return for each place the latest one that opens on its level, itself included: long ``[B, N]``."""
    order = level.argsort(dim=1, stable=True)
    rank = torch.arange(opens.shape[1], device=opens.device)
    last = torch.where(opens.gather(1, order), rank, 0).cummax(1).values
    return torch.empty_like(order).scatter(1, order, order.gather(1, last))
