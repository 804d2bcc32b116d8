"""Joint recall: the value of a key depends on the context in which the key stands.

Zhan et al. 2025 propose such a task for recall that a look-up by key alone cannot answer: a key has another value in
each context. The layout here, records of context, key and value, is ours.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.recall._distinct import draw_subset, shuffle
from tasks.validation import AtLeastTwo


class JointRecall(Task):
    """Write the value of one context and key.

    The length is the number of records. Records have different pairs of context and key, drawn uniformly, and uniform
    values. The queried pair is that of one of the records.

    Args:
        contexts: number of context symbols ``c0``, ``c1``, ...
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...

    Examples:
        c0 k1 v3 c0 k1 -> v3
        c2 k5 v1 c0 k5 v7 c2 k5 -> v1
        c1 k0 v4 c1 k3 v0 c3 k0 v4 c1 k3 -> v0
    """

    answer = "readout"
    paper = "Zhan et al. 2025 (arXiv 2507.00449), joint recall"

    def __init__(self, *, contexts: AtLeastTwo = 4, keys: AtLeastTwo = 8, values: AtLeastTwo = 8) -> None:
        self.contexts, self.keys, self.values = contexts, keys, values
        kinds = (("c", contexts), ("k", keys), ("v", values))
        self.symbols = tuple(f"{kind}{i}" for kind, size in kinds for i in range(size))
        self.lengths = range(1, contexts * keys + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw different pairs of context and key with a value each, and query one of them."""
        pair = shuffle(stream, draw_subset(stream, self.contexts * self.keys, length))
        context, key = pair // self.keys, self.contexts + pair % self.keys
        value = self.contexts + self.keys + stream.integers(self.values, length)
        asked = stream.integers(length, 1)
        records = torch.stack((context, key, value), dim=-1).flatten(1)
        return torch.cat((records, context.gather(1, asked), key.gather(1, asked)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Find the record with the queried context and key."""
        records, query = source[:, :-2].unflatten(1, (-1, 3)), source[:, -2:]
        record = (records[..., :2] == query[:, None]).all(-1).byte().argmax(1, keepdim=True)
        return records[..., 2].gather(1, record)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of records after the queried one."""
        records, query = source[:, :-2].unflatten(1, (-1, 3)), source[:, -2:]
        return (records[..., :2] == query[:, None]).all(-1).flip(1).byte().argmax(1, keepdim=True)
