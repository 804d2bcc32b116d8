"""Fuzzy recall: keys and values are words of several symbols, so that a key has to be put together before it is found.

Poli et al. 2024 ("Mechanistic Design and Scaling of Hybrid Architectures", MAD), fuzzy in-context recall. Their
evaluation asks for the longest keys only; here questions are drawn as in their training.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import within
from tasks.recall._distinct import others
from tasks.recall._first import first_places


class FuzzyRecall(Task):
    """Write the value of the key at the end.

    Keys are words of 1 to ``motif`` key symbols, values words of value symbols; sizes are uniform, and the symbols of
    a word differ. A key that returns has its value again. The length is the room for the pairs: as many as fit are
    there, and ``_`` fills the row from the left. The key asked is that of a uniform one of the pairs.

    Args:
        motif: symbols of the longest word.
        keys: number of key symbols ``k0``, ``k1``, ...
        values: number of value symbols ``v0``, ``v1``, ...

    Examples:
        _ _ k1 k4 v0 k1 v5 v2 v3 => k1 -> v5 v2 v3
        _ _ k1 k4 v0 k1 v5 v2 v3 => k1 k4 -> v0 . .        (as wide as the longest value)
        motif=1: k2 v4 k0 v3 => k2 -> v4
    """

    answer = "generate"
    paper = "Poli et al. 2024 (arXiv 2403.17844), fuzzy in-context recall"

    def __init__(self, *, motif: int = 3, keys: int = 7, values: int = 7) -> None:
        within("motif", motif, 1, 4)
        within("keys", keys, motif, 16)
        within("values", values, max(motif, 2))
        self.motif, self.keys, self.values = motif, keys, values
        words = (*(f"k{i}" for i in range(keys)), *(f"v{i}" for i in range(values)))
        self.symbols = (*words, "=>", "_")
        self.lengths = range(2 * motif, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw more pairs than can fit, keep those that do, and push the words of a row to its right."""
        key, key_size = _words(stream, length // 2, self.keys, self.motif)  # [B, N, M], [B, N]
        value, value_size = _words(stream, length // 2, self.values, self.motif)
        code = self._codes(key, torch.arange(self.motif, device=key.device) < key_size[..., None])
        first = first_places(code, (self.keys + 1) ** self.motif).gather(1, code)
        value, value_size = _pick(self.keys + value, first), value_size.gather(1, first)

        kept = (key_size + value_size).cumsum(1) <= length
        asked = stream.integers(kept.sum(1, keepdim=True), 1)
        question, question_size = _pick(key, asked), key_size.gather(1, asked)
        pairs = torch.stack((key, value), dim=2).flatten(1, 2)  # [B, 2N, M]
        sizes = (torch.stack((key_size, value_size), dim=2) * kept[..., None]).flatten(1)
        arrow = torch.full_like(question, len(self.symbols) - 2)
        words = torch.cat((pairs, arrow, question), dim=1)
        sizes = torch.cat((sizes, torch.ones_like(question_size), question_size), dim=1)
        return self._right_aligned(words, sizes)[:, -(length + 1 + self.motif) :]

    def solve(self, source: Tensor) -> Tensor:
        """Find where a key of the same code ends, and write the value behind it."""
        is_key = source < self.keys
        padded = F.pad(source, (self.motif - 1, 0), value=len(self.symbols))
        back = padded.unfold(1, self.motif, 1).flip(-1)  # [B, S, M]: each token, then those before it
        code = self._codes(back, (back < self.keys).cumprod(-1).bool())
        ends = is_key[:, :-1] & ~is_key[:, 1:] & (code[:, :-1] == code[:, -1:])
        found = ends.byte().argmax(1, keepdim=True)
        behind = found + 1 + torch.arange(self.motif, device=source.device)
        answer = source.gather(1, behind.clamp(max=source.shape[1] - 1))  # the last token ends every value
        value = (answer >= self.keys) & (answer < self.keys + self.values)
        return answer.masked_fill(~value.cumprod(1).bool(), IGNORE)

    def _codes(self, words: Tensor, inside: Tensor) -> Tensor:
        """Write each word, long ``[B, N, M]`` with bool ``inside``, as a number: long ``[B, N]``."""
        weights = (self.keys + 1) ** torch.arange(self.motif, device=words.device)
        return torch.where(inside, (words + 1) * weights, 0).sum(-1)

    def _right_aligned(self, words: Tensor, sizes: Tensor) -> Tensor:
        """Join words ``[B, N, M]`` of given sizes ``[B, N]``, after as many blanks as are missing: ``[B, N * M]``."""
        inside = (torch.arange(self.motif, device=words.device) < sizes[..., None]).flatten(1)
        order = inside.byte().argsort(dim=1, stable=True)
        return words.flatten(1).masked_fill(~inside, len(self.symbols) - 1).gather(1, order)


def _words(stream: Stream, count: int, symbols: int, longest: int) -> tuple[Tensor, Tensor]:
    """Draw words of different symbols, long ``[B, count, longest]``, and their sizes ``[B, count]``."""
    left = symbols - torch.arange(longest, device=stream.device)
    ranks = stream.integers(left, count, longest).flatten(0, 1)
    words = ranks[:, :1]
    for place in range(1, longest):
        words = torch.cat((words, others(words.sort(dim=1).values, ranks[:, place : place + 1])), dim=1)
    return words.view(stream.rows, count, longest), 1 + stream.integers(longest, count)


def _pick(words: Tensor, index: Tensor) -> Tensor:
    """Return the words at ``index`` ``[B, K]`` of each row: ``[B, N, M]`` to ``[B, K, M]``."""
    return words.gather(1, index[..., None].expand(-1, -1, words.shape[2]))
