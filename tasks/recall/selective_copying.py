"""Selective copying: copy the data symbols at random positions and skip the noise between them.

Gu and Dao 2023 ("Mamba"): a model whose dynamics do not depend on its input can count steps. It can therefore copy
symbols at fixed positions, but not at random ones. Their code is not public; the layout here follows the paper's text.
"""

from typing import Annotated

import torch
from annotated_types import Ge, Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.recall._distinct import draw_subset

LONGEST = 1 << 20


class SelectiveCopying(Task):
    """Write the data symbols in their order, without the noise ``_``.

    The length is that of the sequence, at most 2^20. The positions of the data symbols are a uniform subset of all
    positions; the symbols are uniform.

    Args:
        data: number of data symbols in a sequence, which is also the shortest length.
        vocabulary: number of symbols, including the noise.

    Examples:
        data=3: _ s4 _ _ s0 s4 _ -> s4 s0 s4
        data=1: s7 -> s7
        data=2,vocabulary=3: s1 _ _ _ s0 -> s1 s0
    """

    answer = "readout"
    paper = "Gu and Dao 2023 (arXiv 2312.00752), selective copying"

    def __init__(
        self, *, data: Annotated[int, Interval(ge=1, le=LONGEST)] = 16, vocabulary: Annotated[int, Ge(3)] = 16
    ) -> None:
        self.data, self.noise = data, vocabulary - 1
        self.symbols = (*(f"s{i}" for i in range(self.noise)), "_")
        self.lengths = range(data, LONGEST + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the positions of the data, then the symbols."""
        positions = draw_subset(stream, length, self.data)
        noise = torch.full((stream.rows, length), self.noise, device=stream.device)
        return noise.scatter(1, positions, stream.integers(self.noise, self.data))

    def solve(self, source: Tensor) -> Tensor:
        """Collect the positions without noise in ascending order."""
        width = source.shape[1]
        position = torch.arange(width, device=source.device)
        rank = torch.where(source == self.noise, width + position, position)
        return source.gather(1, rank.topk(self.data, dim=1, largest=False).indices.sort(dim=1).values)
