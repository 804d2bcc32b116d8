"""Noisy recall: keys come back with their values, and noise between them has to be kept out of memory.

Poli et al. 2024 ("Mechanistic Design and Scaling of Hybrid Architectures", MAD): in-context recall, noisy for
``noise`` above 0. This is the form in which every key that returns is asked.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import within
from tasks.recall._first import first_places


class NoisyRecall(Task):
    """Give the value of every key that was there before.

    The length is that of the sequence: slots of two tokens, each a key with its value or two noise symbols. Keys are
    uniform and always have the same value within a sequence. The last slot asks for a key that was there before; one
    slot before it, anywhere, is never noise.

    Args:
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...
        noise: chance of a slot to be noise, from 0 (in-context recall) to below 1.
        noises: number of noise symbols ``n0``, ``n1``, ...

    Examples:
        k1 v4 n3 n0 k2 v4 k1 v4 -> . . . . . . v4 .
        k0 v7 k0 v7 -> . . v7 .
        noise=0: k0 v7 k1 v2 k1 v2 k0 v7 -> . . . . v2 . v7 .
    """

    answer = "tag"
    paper = "Poli et al. 2024 (arXiv 2403.17844), in-context recall and noisy in-context recall"
    lengths = range(4, 1 << 24, 2)

    def __init__(self, *, keys: int = 8, values: int = 8, noise: float = 0.2, noises: int = 16) -> None:
        within("keys", keys, 1)
        within("values", values, 2)
        within("noises", noises, 1)
        if not 0 <= noise < 1:
            raise ValueError(
                f"noise={noise}: must be at least 0 and below 1; the nearest is {0 if noise < 0 else 0.99}"
            )
        self.keys, self.values, self.noise, self.noises = keys, values, noise, noises
        kinds = (("k", keys), ("v", values), ("n", noises))
        self.symbols = tuple(f"{kind}{i}" for kind, size in kinds for i in range(size))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw pairs, put noise over some, and end with a key that was seen."""
        slots = length // 2 - 1
        table = self.keys + stream.integers(self.values, self.keys)
        keys = stream.integers(self.keys, slots)
        kept = torch.arange(slots, device=stream.device) == stream.integers(slots, 1)
        noisy = (stream.uniform(slots) < self.noise) & ~kept
        seen = first_places(keys.masked_fill(noisy, self.keys), self.keys + 1)[:, :-1] < slots
        last = stream.uniform(self.keys).masked_fill(~seen, -1).argmax(1, keepdim=True)
        keys = torch.cat((keys, last), dim=1)
        noisy = torch.cat((noisy, torch.zeros_like(last, dtype=torch.bool)), dim=1)[..., None]
        noise = self.keys + self.values + stream.integers(self.noises, slots + 1, 2)
        return torch.where(noisy, noise, torch.stack((keys, table.gather(1, keys)), dim=-1)).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Step back to the first place of each key that returns."""
        key, value = source[:, 0::2], source[:, 1::2]
        first = first_places(key, len(self.symbols)).gather(1, key)
        returns = (key < self.keys) & (first < torch.arange(key.shape[1], device=source.device))
        label = value.gather(1, first).masked_fill(~returns, IGNORE)
        return torch.stack((label, torch.full_like(label, IGNORE)), dim=-1).flatten(1)
