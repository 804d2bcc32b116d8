"""K-hop: apply an induction head k times in a row.

Sanford et al. 2024 ("Transformers, parallel computation, and logarithmic depth"): k-hop induction heads. A transformer
can compute them with depth of the order log k, because look-ups compose.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import Positive


class KHop(Task):
    """At every position, hop back ``hops`` times and write the letter at the position reached.

    One hop goes from a position to the one right after the last earlier occurrence of its letter. If there is no such
    occurrence, the answer is ``_``. The length is that of the sequence.

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

    def __init__(self, *, hops: Positive = 2, alphabet: Positive = 4) -> None:
        self.hops = hops
        self.symbols = (*(f"s{i}" for i in range(alphabet)), "_")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(len(self.symbols) - 1, length)

    def solve(self, source: Tensor) -> Tensor:
        """Compose the hop with itself; position 0 of the padded row stands for no position."""
        hop = F.pad(_hop(source), (1, 0))
        position = torch.arange(1, hop.shape[1], device=source.device).expand_as(source)
        for _ in range(self.hops):
            position = hop.gather(1, position)
        return F.pad(source, (1, 0), value=len(self.symbols) - 1).gather(1, position)


def _hop(source: Tensor) -> Tensor:
    """Return where one hop leads from each position, counted from 1, or 0 if it leads nowhere: long ``[B, N]``.

    In the order by letter and then by position, the previous occurrence of a letter directly precedes it.
    """
    letter, order = source.sort(dim=1, stable=True)
    repeated = F.pad(letter[:, 1:] == letter[:, :-1], (1, 0))
    target = torch.where(repeated, F.pad(order[:, :-1], (1, 0)) + 2, 0)
    return torch.zeros_like(source).scatter(1, order, target)
