"""Dyck languages: well-nested strings of several kinds of brackets, up to a maximum depth.

One kind requires a counter, several kinds require a stack. Bhattamishra et al. 2020 ("On the Ability and Limitations of
Transformers to Recognize Formal Languages"); Huang et al. 2025, whose star-free languages D-n are those of one kind and
depth n.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.counting._counted import BRACKETS, BracketKinds, Counted, draw_walk, heights
from tasks.languages import Ask
from tasks.validation import NonNegative


class Dyck(Counted):
    """Recognise well-nested strings of brackets, or name the symbols that may come next.

    The depth of a word is a random walk that returns to zero, reflected at zero and at the bound; kinds are uniform.
    For ``recognise``, the non-members have one bracket changed or two exchanged.

    Args:
        kinds: kinds of brackets, 1 to 4: ``()``, ``[]``, ``<>``, ``{}``.
        depth: largest number of open brackets; 0 for no bound.
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

    def __init__(self, *, kinds: BracketKinds = 2, depth: NonNegative = 8, ask: Ask = "recognise") -> None:
        opening, closing = BRACKETS[: 2 * kinds : 2], BRACKETS[1 : 2 * kinds : 2]
        inside = [opening + close for close in closing] if depth != 1 else []
        super().__init__(BRACKETS[: 2 * kinds], [opening + "$", *inside, *(closing if depth else "")], ask)
        self.kinds, self.depth = kinds, depth

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw a walk, reflect it at the bounds of the depth, and draw a kind for each pair."""
        bound = self.depth or length
        depth = bound - (bound - heights(draw_walk(length, stream)).abs() % (2 * bound)).abs()
        opens = depth.diff(dim=1) > 0
        kind = stream.integers(self.kinds, length)
        return 2 * kind.gather(1, _latest_opening(opens, _levels(depth))) + (~opens).long()

    def is_member(self, word: Tensor) -> Tensor:
        """Check that the depth stays within its bounds and ends at zero, and that the kinds of pairs match."""
        opens, kind, depth = self._read(word)
        bound = self.depth or word.shape[1]
        balanced = (depth >= 0).all(1) & (depth <= bound).all(1) & (depth[:, -1] == 0)
        return balanced & (kind == kind.gather(1, _latest_opening(opens, _levels(depth)))).all(1)

    def legal_next(self, word: Tensor) -> Tensor:
        """Allow opening brackets below the bound, closing the innermost bracket, and the end at depth zero."""
        opens, kind, depth = self._read(word)
        after = depth[:, 1:]
        innermost = kind.gather(1, _latest_opening(opens, after))[..., None]
        may_close = (innermost == torch.arange(self.kinds, device=word.device)) & (after > 0)[..., None]
        may_open = (after < (self.depth or word.shape[1] + 1))[..., None].expand_as(may_close)
        return torch.cat((torch.stack((may_open, may_close), dim=-1).flatten(2), (after == 0)[..., None]), dim=2)

    def _read(self, word: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return which brackets open, their kinds ``[B, N]``, and the depth before and after each ``[B, N + 1]``."""
        return word % 2 == 0, word // 2, heights(1 - 2 * (word % 2))


def _levels(depth: Tensor) -> Tensor:
    """Return the depth just inside each bracket, long ``[B, N]``; both brackets of a pair have the same level."""
    return torch.maximum(depth[:, 1:], depth[:, :-1])


def _latest_opening(opens: Tensor, level: Tensor) -> Tensor:
    """Return for each position the latest opening one on its level, itself included: long ``[B, N]``."""
    order = level.argsort(dim=1, stable=True)
    rank = torch.arange(opens.shape[1], device=opens.device)
    last = torch.where(opens.gather(1, order), rank, 0).cummax(1).values
    return torch.empty_like(order).scatter(1, order, order.gather(1, last))
