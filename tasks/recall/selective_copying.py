"""Selective copying: keep what matters and drop the noise, however much of it there is.

Gu and Dao 2023 ("Mamba"): a model whose dynamics do not depend on its input can count steps, and so copy what comes at
fixed places, but not what comes at random ones. Their code is not public: the layout here follows the paper's text.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within
from tasks.recall._distinct import subset


class SelectiveCopying(Task):
    """Write the data symbols in their order, without the noise ``_``.

    The length is that of the sequence, 2^20 at most. The places of the data are a uniform subset of all places, the
    symbols uniform.

    Args:
        data: number of data symbols in a sequence; there is no shorter one.
        vocabulary: number of symbols, the noise included.

    Examples:
        data=3: _ s4 _ _ s0 s4 _ -> s4 s0 s4
        data=1: s7 -> s7
        data=2,vocabulary=3: s1 _ _ _ s0 -> s1 s0
    """

    answer = "readout"
    paper = "Gu and Dao 2023 (arXiv 2312.00752), selective copying"

    def __init__(self, *, data: int = 16, vocabulary: int = 16) -> None:
        within("data", data, 1, 1 << 20)
        within("vocabulary", vocabulary, 3)
        self.data, self.noise = data, vocabulary - 1
        self.symbols = (*(f"s{i}" for i in range(self.noise)), "_")
        self.lengths = range(data, (1 << 20) + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw symbols and put them into their places."""
        places = subset(stream, length, self.data)
        noise = torch.full((stream.rows, length), self.noise, device=stream.device)
        return noise.scatter(1, places, stream.integers(self.noise, self.data))

    def solve(self, source: Tensor) -> Tensor:
        """Sort noise behind data, keeping the order of the data."""
        width = source.shape[1]
        place = torch.arange(width, device=source.device)
        kept = torch.where(source == self.noise, width + place, place)
        return source.gather(1, kept.topk(self.data, dim=1, largest=False).indices.sort(dim=1).values)
