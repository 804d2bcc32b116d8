"""Induction heads: return the symbol that followed the previous occurrence of the marker ``*``.

Olsson et al. 2022 ("In-context Learning and Induction Heads") found the mechanism. Gu and Dao 2023 ("Mamba") train on
256 tokens and test on up to 2^20.
"""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor

from tasks.base import Stream, Task


class InductionHeads(Task):
    """Write the symbol that follows the first ``*``.

    The length is that of the sequence, which ends with the second ``*``. The first ``*`` is at a uniform position with
    at least one symbol between the two.

    Args:
        vocabulary: number of symbols, including ``*``.

    Examples:
        s3 * s7 s0 s3 * -> s7
        * s0 * -> s0
        vocabulary=3: s0 s1 * s1 s0 * -> s1
    """

    answer = "readout"
    paper = "Gu and Dao 2023 (arXiv 2312.00752), induction heads"
    lengths = range(3, 1 << 24)

    def __init__(self, *, vocabulary: Annotated[int, Ge(3)] = 16) -> None:
        self.mark = vocabulary - 1
        self.symbols = (*(f"s{i}" for i in range(self.mark)), "*")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw symbols and the position of the first marker."""
        symbols = stream.integers(self.mark, length - 1)
        marked = symbols.scatter(1, stream.integers(length - 2, 1), self.mark)
        return torch.cat((marked, torch.full_like(marked[:, :1], self.mark)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Return the symbol after the first marker."""
        first = (source == self.mark).byte().argmax(1, keepdim=True)
        return source.gather(1, first + 1)
