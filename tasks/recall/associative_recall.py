"""Associative recall: return the value of the key that follows a list of key-value pairs.

Ba et al. 2016 ("Using Fast Weights to Attend to the Recent Past"). The form here, in which keys may occur again with
the same value, is that of Fu et al. 2022 ("Hungry Hungry Hippos").
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.recall._first_positions import first_positions
from tasks.validation import AtLeastTwo, Positive


class AssociativeRecall(Task):
    """Write the value of the last key.

    The length is the number of pairs. Keys are uniform and may occur again, always with the same value. The queried key
    is uniform among the different keys of the row. Unlike in the authors' generator, no marker precedes it.

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

    def __init__(self, *, keys: Positive = 10, values: AtLeastTwo = 10) -> None:
        self.keys, self.values = keys, values
        self.symbols = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a value for every key, then the keys of the pairs and the queried key."""
        table = self.keys + stream.integers(self.values, self.keys)
        keys = stream.integers(self.keys, length)
        present = first_positions(keys, self.keys) < length
        query = stream.uniform(self.keys).masked_fill(~present, -1).argmax(1, keepdim=True)
        pairs = torch.stack((keys, table.gather(1, keys)), dim=-1).flatten(1)
        return torch.cat((pairs, query), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Find the first pair with the queried key and return its value."""
        pair = first_positions(source[:, 0::2], self.keys).gather(1, source[:, -1:])
        return source.gather(1, 2 * pair + 1)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of pairs after the last one with the queried key."""
        return (source[:, 0:-1:2] == source[:, -1:]).flip(1).byte().argmax(1, keepdim=True)
