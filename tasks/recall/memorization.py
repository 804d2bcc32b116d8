"""Memorization: return the values of keys that are shown without them, so they have to be stored in the weights.

Poli et al. 2024 ("Mechanistic Design and Scaling of Hybrid Architectures", MAD), memorization. The table of keys and
values is the same in training and in tests. Longer inputs ask for more facts at once, and need no other ones.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.splitmix import hash_words
from tasks.validation import AtLeastTwo, NonNegative, Positive


class Memorization(Task):
    """Write at each blank the value of the key before it.

    The length is the number of keys, which are uniform. The value of a key is a hash of its number and of ``table``.

    Args:
        facts: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...
        table: number of the table of values.

    Examples:
        k0 _ k3 _ -> . v12 . v4
        table=1: k0 _ -> . v6
    """

    answer = "tag"
    paper = "Poli et al. 2024 (arXiv 2403.17844), memorization"
    algorithm_readers = ("previous token",)

    def __init__(self, *, facts: Positive = 64, values: AtLeastTwo = 16, table: NonNegative = 0) -> None:
        self.facts = facts
        self.values = facts + hash_words(torch.tensor([table]), facts)[0] % values
        self.symbols = (*(f"k{i}" for i in range(facts)), *(f"v{i}" for i in range(values)), "_")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw keys, each followed by a blank."""
        keys = stream.integers(self.facts, length)
        return torch.stack((keys, torch.full_like(keys, len(self.symbols) - 1)), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Look up the values."""
        value = self.values.to(source.device)[source[:, ::2]]
        return torch.stack((torch.full_like(value, IGNORE), value), dim=-1).flatten(1)
