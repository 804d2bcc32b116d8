"""Noisy recall: return the values of repeated keys, with noise between the key-value pairs.

Poli et al. 2024 ("Mechanistic Design and Scaling of Hybrid Architectures", MAD): in-context recall, noisy for
``noise`` above 0. This is the form in which every repeated key is a query.
"""

from typing import Annotated

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.recall._first_positions import first_positions
from tasks.validation import AtLeastTwo, Positive


class NoisyRecall(Task):
    """Write the value of every key that has occurred before.

    The length is that of the sequence: slots of two tokens, each a key with its value or two noise symbols. Keys are
    uniform and always have the same value within a sequence. The last slot has a key that has occurred before; one
    earlier slot, drawn uniformly, is never noise.

    Args:
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...
        noise: probability that a slot is noise, from 0 (in-context recall) to below 1.
        noises: number of noise symbols ``n0``, ``n1``, ...

    Examples:
        k1 v4 n3 n0 k2 v4 k1 v4 -> . . . . . . v4 .
        k0 v7 k0 v7 -> . . v7 .
        noise=0: k0 v7 k1 v2 k1 v2 k0 v7 -> . . . . v2 . v7 .
    """

    answer = "tag"
    online = True  # the label of a key is the next source token
    paper = "Poli et al. 2024 (arXiv 2403.17844), in-context recall and noisy in-context recall"
    lengths = range(4, 1 << 24, 2)

    def __init__(
        self,
        *,
        keys: Positive = 8,
        values: AtLeastTwo = 8,
        noise: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.2,
        noises: Positive = 16,
    ) -> None:
        self.keys, self.values, self.noise, self.noises = keys, values, noise, noises
        kinds = (("k", keys), ("v", values), ("n", noises))
        self.symbols = tuple(f"{kind}{i}" for kind, size in kinds for i in range(size))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw pairs, replace some by noise, and append a key that has occurred."""
        slots = length // 2 - 1
        table = self.keys + stream.integers(self.values, self.keys)
        keys = stream.integers(self.keys, slots)
        protected = torch.arange(slots, device=stream.device) == stream.integers(slots, 1)
        noisy = (stream.uniform(slots) < self.noise) & ~protected
        present = first_positions(keys.masked_fill(noisy, self.keys), self.keys + 1)[:, :-1] < slots
        last = stream.uniform(self.keys).masked_fill(~present, -1).argmax(1, keepdim=True)
        keys = torch.cat((keys, last), dim=1)
        noisy = torch.cat((noisy, torch.zeros_like(last, dtype=torch.bool)), dim=1)[..., None]
        noise = self.keys + self.values + stream.integers(self.noises, slots + 1, 2)
        return torch.where(noisy, noise, torch.stack((keys, table.gather(1, keys)), dim=-1)).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Look up the first pair of each repeated key."""
        key, value = source[:, 0::2], source[:, 1::2]
        first = first_positions(key, len(self.symbols)).gather(1, key)
        repeated = (key < self.keys) & (first < torch.arange(key.shape[1], device=source.device))
        label = value.gather(1, first).masked_fill(~repeated, IGNORE)
        return torch.stack((label, torch.full_like(label, IGNORE)), dim=-1).flatten(1)
