"""Fuzzy recall: keys and values are words of several symbols, which a model has to combine before it compares keys.

Poli et al. 2024 ("Mechanistic Design and Scaling of Hybrid Architectures", MAD), fuzzy in-context recall. Their
evaluation queries the longest keys only; here the data are drawn as in their training.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.recall._distinct import complement
from tasks.recall._first_positions import first_positions
from tasks.validation import AtLeastTwo, check_range


class FuzzyRecall(Task):
    """Write the value of the key at the end.

    Keys are words of 1 to ``motif`` key symbols, values are words of 1 to ``motif`` value symbols. Sizes are uniform,
    and the symbols of a word differ. A repeated key has the same value. The length is the number of tokens available
    for the pairs: a row has as many pairs as fit, and ``_`` fills it from the left. The query is the key of a uniform
    pair.

    Args:
        motif: number of symbols of the longest word.
        keys: number of key symbols ``k0``, ``k1``, ..., at least ``motif``.
        values: number of value symbols ``v0``, ``v1``, ..., at least ``motif``.

    Examples:
        _ _ k1 k4 v0 k1 v5 v2 v3 => k1 -> v5 v2 v3
        _ _ k1 k4 v0 k1 v5 v2 v3 => k1 k4 -> v0 . .        (as wide as the longest value)
        motif=1: k2 v4 k0 v3 => k2 -> v4
    """

    answer = "generate"
    paper = "Poli et al. 2024 (arXiv 2403.17844), fuzzy in-context recall"

    def __init__(
        self,
        *,
        motif: Annotated[int, Interval(ge=1, le=4)] = 3,
        keys: Annotated[int, Interval(ge=1, le=16)] = 7,
        values: AtLeastTwo = 7,
    ) -> None:
        check_range("keys", keys, motif)
        check_range("values", values, motif)
        self.motif, self.keys, self.values = motif, keys, values
        words = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)))
        self.symbols = (*words, "=>", "_")
        self.lengths = range(2 * motif, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw more pairs than can fit, keep those that do, and align the words of a row to its right."""
        key, key_size = _words(stream, length // 2, self.keys, self.motif)  # [B, N, M], [B, N]
        value, value_size = _words(stream, length // 2, self.values, self.motif)
        code = self._codes(key, torch.arange(self.motif, device=key.device) < key_size[..., None])
        first = first_positions(code, (self.keys + 1) ** self.motif).gather(1, code)
        # A repeated key gets the value of its first occurrence.
        value, value_size = _pick(self.keys + value, first), value_size.gather(1, first)

        fits = (key_size + value_size).cumsum(1) <= length
        queried = stream.integers(fits.sum(1, keepdim=True), 1)
        query, query_size = _pick(key, queried), key_size.gather(1, queried)
        pairs = torch.stack((key, value), dim=2).flatten(1, 2)  # [B, 2N, M]
        sizes = (torch.stack((key_size, value_size), dim=2) * fits[..., None]).flatten(1)
        arrow = torch.full_like(query, len(self.symbols) - 2)
        words = torch.cat((pairs, arrow, query), dim=1)
        sizes = torch.cat((sizes, torch.ones_like(query_size), query_size), dim=1)
        return self._right_aligned(words, sizes)[:, -(length + 1 + self.motif) :]

    def solve(self, source: Tensor) -> Tensor:
        """Find where a key with the code of the query ends, and return the value after it."""
        is_key = source < self.keys
        padded = F.pad(source, (self.motif - 1, 0), value=len(self.symbols))
        backwards = padded.unfold(1, self.motif, 1).flip(-1)  # [B, S, M]: each token, then those before it
        code = self._codes(backwards, (backwards < self.keys).cumprod(-1).bool())
        ends = is_key[:, :-1] & ~is_key[:, 1:] & (code[:, :-1] == code[:, -1:])
        match = ends.byte().argmax(1, keepdim=True)
        following = match + 1 + torch.arange(self.motif, device=source.device)
        answer = source.gather(1, following.clamp(max=source.shape[1] - 1))  # the last token is never a value symbol
        is_value = (answer >= self.keys) & (answer < self.keys + self.values)
        return answer.masked_fill(~is_value.cumprod(1).bool(), IGNORE)

    def _codes(self, words: Tensor, inside: Tensor) -> Tensor:
        """Encode each word, long ``[B, N, M]`` with bool ``inside``, as a number: long ``[B, N]``."""
        weights = (self.keys + 1) ** torch.arange(self.motif, device=words.device)
        return torch.where(inside, (words + 1) * weights, 0).sum(-1)

    def _right_aligned(self, words: Tensor, sizes: Tensor) -> Tensor:
        """Join words ``[B, N, M]`` of sizes ``[B, N]`` after as many blanks as are missing: ``[B, N * M]``."""
        inside = (torch.arange(self.motif, device=words.device) < sizes[..., None]).flatten(1)
        order = inside.byte().argsort(dim=1, stable=True)
        return words.flatten(1).masked_fill(~inside, len(self.symbols) - 1).gather(1, order)


def _words(stream: Stream, count: int, symbols: int, longest: int) -> tuple[Tensor, Tensor]:
    """Draw words of different symbols, long ``[B, count, longest]``, and their sizes ``[B, count]``."""
    unused = symbols - torch.arange(longest, device=stream.device)
    ranks = stream.integers(unused, count, longest).flatten(0, 1)
    words = ranks[:, :1]
    for index in range(1, longest):
        words = torch.cat((words, complement(words.sort(dim=1).values, ranks[:, index : index + 1])), dim=1)
    return words.view(stream.rows, count, longest), 1 + stream.integers(longest, count)


def _pick(words: Tensor, index: Tensor) -> Tensor:
    """Return the words at ``index`` ``[B, K]`` of each row: ``[B, N, M]`` to ``[B, K, M]``."""
    return words.gather(1, index[..., None].expand(-1, -1, words.shape[2]))
