"""MQAR: return the values of many keys, each queried once, so that a model has to remember all pairs.

Arora et al. 2023 ("Zoology: Measuring and Improving Recall in Efficient Language Models"), multi-query associative
recall. All pairs come first. Then every key appears once more, after a gap that follows a power law, as repetitions do
in text.

Paper and code differ: the authors' generator fills the gaps with any tokens, so that a key may occur in a gap without
being a query. Here the gaps contain no key of the row, so every repeated key is a query, as the paper defines it.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.recall._distinct import complement, draw_subset, shuffle
from tasks.validation import Positive, check_range


class Mqar(Task):
    """Write the value of every key that appears a second time.

    The length is that of the sequence: ``2 * pairs`` tokens of pairs, then slots of two tokens. A query is the first
    token of its slot. The keys get their slots in the order of the pairs, without replacement, and slot i is drawn with
    probability proportional to ``i ** (power - 1)``.

    Args:
        pairs: number of pairs; all keys of a row differ, and so do all values.
        keys: number of key symbols ``k0``, ``k1``, ..., at least ``pairs``.
        values: number of value symbols ``v0``, ``v1``, ..., at least ``pairs``.
        power: exponent of the distribution of the gaps; 1 is uniform, and the paper's 0.01 makes most gaps short.
        filler: ``random`` fills the gaps with values and with keys that have no pair, ``blank`` with ``_``.

    Examples:
        pairs=2: k5 v3 k9 v7 k9 v1 k5 k0 -> . . . . v7 . v3 .
        pairs=1: k0 v0 k0 k1 -> . . v0 .
        pairs=2,filler=blank: k3 v8 k1 v4 _ _ k1 _ k3 _ -> . . . . . . v4 . v8 .
    """

    answer = "tag"
    paper = "Arora et al. 2023 (arXiv 2312.04927), multi-query associative recall"

    def __init__(
        self,
        *,
        pairs: Positive = 4,
        keys: Positive = 64,
        values: Positive = 64,
        power: float = 0.01,
        filler: Literal["random", "blank"] = "random",
    ) -> None:
        check_range("keys", keys, pairs)
        check_range("values", values, pairs)
        self.pairs, self.keys, self.values, self.power, self.blank = pairs, keys, values, power, filler == "blank"
        self.symbols = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)), "_")
        self.lengths = range(4 * pairs, 1 << 24, 2)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw pairs, fill the rest, and write the queries into their slots."""
        chosen = draw_subset(stream, self.keys, self.pairs)
        keys = shuffle(stream, chosen)
        values = self.keys + shuffle(stream, draw_subset(stream, self.values, self.pairs))
        pairs = torch.stack((keys, values), dim=-1).flatten(1)
        rest = self._filler(chosen, length - 2 * self.pairs, stream)
        slots = self._slots(rest.shape[1] // 2, stream)
        return torch.cat((pairs, rest.scatter(1, 2 * slots, keys)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Look up every token after the pairs among the row's keys, by binary search."""
        pairs, rest = source.split((2 * self.pairs, source.shape[1] - 2 * self.pairs), dim=1)
        keys, order = pairs[:, 0::2].sort(dim=1)
        index = torch.searchsorted(keys, rest.contiguous()).clamp(max=self.pairs - 1)
        value = pairs[:, 1::2].gather(1, order).gather(1, index)
        label = value.masked_fill(keys.gather(1, index) != rest, IGNORE)
        return torch.cat((torch.full_like(pairs, IGNORE), label), dim=1)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of pairs and slots between the pair of each query and the query."""
        index = torch.arange(source.shape[1], device=source.device)
        matches = source[:, None, :] == source[:, : 2 * self.pairs : 2, None]  # [B, pairs, S]
        pair = matches.byte().argmax(1)
        return torch.where(self.solve(source) == IGNORE, IGNORE, index // 2 - pair - 1)

    def _slots(self, slots: int, stream: Stream) -> Tensor:
        """Draw the slot of each key, long ``[B, pairs]``, by weights and without replacement.

        The slots with the smallest of independent exponential times, whose rates are the weights, are such a sample.
        """
        times = -torch.log(stream.uniform(slots) + 2**-25)  # uniform numbers are multiples of 2^-24 and may be 0
        slot = torch.arange(1, slots + 1, device=stream.device)
        return (times * slot ** (1 - self.power)).topk(self.pairs, dim=1, largest=False).indices

    def _filler(self, chosen: Tensor, width: int, stream: Stream) -> Tensor:
        """Return the tokens of the gaps, long ``[B, width]``: blanks, or values and keys that have no pair."""
        if self.blank:
            return chosen.new_full((stream.rows, width), len(self.symbols) - 1)
        unpaired = self.keys - self.pairs
        rank = stream.integers(unpaired + self.values, width)
        return torch.where(rank < unpaired, complement(chosen, rank), rank + self.pairs)
