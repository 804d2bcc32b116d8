"""Induction heads: what came after this symbol the last time?

Olsson et al. 2022 ("In-context Learning and Induction Heads") found the mechanism; Gu and Dao 2023 ("Mamba") train on
256 tokens and test on up to 2^20.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within


class InductionHeads(Task):
    """Give the symbol that follows the first ``*``, at the second one.

    The length is that of the sequence with both ``*``, of which the second ends it. The first is anywhere before,
    uniformly, as long as a symbol fits between the two.

    Args:
        vocabulary: number of symbols, ``*`` included.

    Examples:
        s3 * s7 s0 s3 * -> s7
        * s0 * -> s0
        vocabulary=3: s0 s1 * s1 s0 * -> s1
    """

    answer = "readout"
    paper = "Gu and Dao 2023 (arXiv 2312.00752), induction heads"
    lengths = range(3, 1 << 24)

    def __init__(self, *, vocabulary: int = 16) -> None:
        within("vocabulary", vocabulary, 3)
        self.mark = vocabulary - 1
        self.symbols = (*(f"s{i}" for i in range(self.mark)), "*")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw symbols and the place of the first mark."""
        symbols = stream.integers(self.mark, length - 1)
        marked = symbols.scatter(1, stream.integers(length - 2, 1), self.mark)
        return torch.cat((marked, torch.full_like(marked[:, :1], self.mark)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Step one beyond the first mark."""
        first = (source == self.mark).byte().argmax(1, keepdim=True)
        return source.gather(1, first + 1)
