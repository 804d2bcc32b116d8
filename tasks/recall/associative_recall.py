"""Associative recall: pairs of keys and values, then one key, whose value is asked.

Ba et al. 2016 ("Using Fast Weights to Attend to the Recent Past"); the form here, with keys that come back with the
same value, is that of Fu et al. 2022 ("Hungry Hungry Hippos").
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within
from tasks.recall._first import first_places


class AssociativeRecall(Task):
    """Give the value of the last key.

    The length is the number of pairs. Keys are uniform and may return, always with their value; the key asked is
    uniform among the different keys seen. Unlike in the authors' generator no mark stands before it.

    Args:
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...

    Examples:
        k3 v1 k0 v7 k3 -> v1
        k2 v5 k2 -> v5
        k1 v0 k4 v9 k1 v0 k4 -> v9
    """

    answer = "readout"
    paper = "Ba et al. 2016 (arXiv 1610.06258); Fu et al. 2022 (arXiv 2212.14052), associative recall"

    def __init__(self, *, keys: int = 10, values: int = 10) -> None:
        within("keys", keys, 1)
        within("values", values, 2)
        self.keys, self.values = keys, values
        self.symbols = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a value for every key, then keys."""
        table = self.keys + stream.integers(self.values, self.keys)
        keys = stream.integers(self.keys, length)
        seen = first_places(keys, self.keys) < length
        asked = stream.uniform(self.keys).masked_fill(~seen, -1).argmax(1, keepdim=True)
        pairs = torch.stack((keys, table.gather(1, keys)), dim=-1).flatten(1)
        return torch.cat((pairs, asked), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Find the first place of the last key; the value follows it."""
        place = first_places(source[:, 0::2], self.keys).gather(1, source[:, -1:])
        return source.gather(1, 2 * place + 1)
