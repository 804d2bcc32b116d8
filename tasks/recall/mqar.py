"""MQAR: many keys, each asked again later, so that one state has to hold all of their values.

Arora et al. 2023 ("Zoology: Measuring and Improving Recall in Efficient Language Models"), multi-query associative
recall. All pairs come first; then every key appears once more, soon or late after a power law, as repetitions do in
text.

Where paper and code differ: the authors' generator fills the gaps with any tokens, so that a key may stand in a gap and
not count as a query. Here a gap holds no key of the row: whatever repeats a key is asked, as the paper defines it.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import one_of, within
from tasks.recall._distinct import others, shuffled, subset


class Mqar(Task):
    """Give the value of every key that appears a second time.

    The length is that of the sequence: ``2 * pairs`` tokens of pairs, then slots of two tokens. A query stands first
    in its slot. Slot i is drawn with probability proportional to ``i ** (power - 1)``, without replacement, for one
    key after another in the order of the pairs.

    Args:
        pairs: number of pairs; all keys of a row differ, and so do all values.
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...
        power: of the law of the gaps; 1 is uniform, the paper's 0.01 asks most keys soon.
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
        pairs: int = 4,
        keys: int = 64,
        values: int = 64,
        power: float = 0.01,
        filler: Literal["random", "blank"] = "random",
    ) -> None:
        within("pairs", pairs, 1)
        within("keys", keys, pairs)
        within("values", values, pairs)
        one_of("filler", filler, ("random", "blank"))
        self.pairs, self.keys, self.values, self.power, self.blank = pairs, keys, values, power, filler == "blank"
        self.symbols = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)), "_")
        self.lengths = range(4 * pairs, 1 << 24, 2)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw pairs, fill the rest, and put the keys into their slots."""
        chosen = subset(stream, self.keys, self.pairs)
        keys = shuffled(stream, chosen)
        values = self.keys + shuffled(stream, subset(stream, self.values, self.pairs))
        pairs = torch.stack((keys, values), dim=-1).flatten(1)
        rest = self._filler(chosen, length - 2 * self.pairs, stream)
        slots = self._slots(rest.shape[1] // 2, stream)
        return torch.cat((pairs, rest.scatter(1, 2 * slots, keys)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Look every token after the pairs up among the row's keys, by binary search."""
        pairs, rest = source.split((2 * self.pairs, source.shape[1] - 2 * self.pairs), dim=1)
        keys, order = pairs[:, 0::2].sort(dim=1)
        place = torch.searchsorted(keys, rest.contiguous()).clamp(max=self.pairs - 1)
        value = pairs[:, 1::2].gather(1, order).gather(1, place)
        label = value.masked_fill(keys.gather(1, place) != rest, IGNORE)
        return torch.cat((torch.full_like(pairs, IGNORE), label), dim=1)

    def _slots(self, slots: int, stream: Stream) -> Tensor:
        """Draw each key's slot, long ``[B, pairs]``: the order in which exponential clocks of these rates ring."""
        times = -torch.log(stream.uniform(slots) + 2**-25)  # the grid of uniform is 2^-24: never at zero
        slot = torch.arange(1, slots + 1, device=stream.device)
        return (times * slot ** (1 - self.power)).topk(self.pairs, dim=1, largest=False).indices

    def _filler(self, chosen: Tensor, width: int, stream: Stream) -> Tensor:
        if self.blank:
            return chosen.new_full((stream.rows, width), len(self.symbols) - 1)
        unpaired = self.keys - self.pairs
        drawn = stream.integers(unpaired + self.values, width)
        return torch.where(drawn < unpaired, others(chosen, drawn), drawn + self.pairs)
