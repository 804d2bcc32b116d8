"""K-hop: the induction head, k times over.

Sanford et al. 2024 ("Transformers, parallel computation, and logarithmic depth"): k-hop induction heads, which a
transformer can do in depth of the order log k, since look-ups compose.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within


class KHop(Task):
    """At every position, hop back ``hops`` times and give the letter there.

    One hop goes from a position to the one right after the last earlier occurrence of its letter. Where there is no
    such occurrence, the answer is ``_``. The length is that of the sequence.

    Args:
        hops: number of hops; 1 is an induction head.
        alphabet: number of letters, ``s0``, ``s1``, ..., drawn uniformly.

    Examples:
        hops=1: s0 s1 s0 s0 s1 -> _ _ s1 s0 s0
        s0 s1 s0 s2 s1 s0 -> _ _ _ _ s1 _
        s0 s0 s0 -> _ s0 s0
    """

    answer = "tag"
    paper = "Sanford et al. 2024 (arXiv 2402.09268), k-hop induction heads"

    def __init__(self, *, hops: int = 2, alphabet: int = 4) -> None:
        within("hops", hops, 1)
        within("alphabet", alphabet, 1)
        self.hops = hops
        self.symbols = (*(f"s{i}" for i in range(alphabet)), "_")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols) - 1, length)

    def solve(self, source: Tensor) -> Tensor:
        """Compose the hop with itself; position 0 of the padded row stands for nowhere."""
        hop = F.pad(_hop(source), (1, 0))
        place = torch.arange(1, hop.shape[1], device=source.device).expand_as(source)
        for _ in range(self.hops):
            place = hop.gather(1, place)
        return F.pad(source, (1, 0), value=len(self.symbols) - 1).gather(1, place)


def _hop(source: Tensor) -> Tensor:
    """Return where one hop leads from each position, counted from 1, and 0 for nowhere: long ``[B, N]``.

    Sorted by letter and then place, the previous occurrence of a letter is the neighbour.
    """
    letter, order = source.sort(dim=1, stable=True)
    again = F.pad(letter[:, 1:] == letter[:, :-1], (1, 0))
    target = torch.where(again, F.pad(order[:, :-1], (1, 0)) + 2, 0)
    return torch.zeros_like(source).scatter(1, order, target)
