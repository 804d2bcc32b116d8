"""Multi-token recall: keys and values are words of several letters, so no single letter tells which pair is meant.

Vasylenko et al. 2025 ("Long-Context Generalization with Sparse Attention"), multi-query multi-token associative
recall. In MQAR (:mod:`tasks.recall.mqar`) a key is one symbol. Here words share letters, and a model has to compare
whole words.

The authors draw words from a fixed list of 10,000, and pairs fill 80 % of a sequence. Here every word is possible, and
there are as many spaces as pairs.
"""

from string import ascii_lowercase

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.recall._distinct import draw_subset, shuffle
from tasks.validation import Positive, SeveralLetters, check_range


class MultiTokenRecall(Task):
    """Write the values of some keys, in the order in which the keys are queried.

    The length is the number of pairs. A pair is a key, ``:`` and a value; as many spaces ``_`` as there are pairs are
    spread between the pairs at random. Then each query is ``?`` and a key. Keys of a row differ, and values are
    uniform. Queries ask for different pairs.

    Args:
        letters: number of letters of a key and of a value.
        queries: number of queries.
        alphabet: number of letters of the alphabet.

    Examples:
        queries=1: _ a b : c a ? a b -> c a
        b a : d d _ _ a a : b c ? a a ? b a -> b c d d
        letters=1: a : b _ c : a _ ? c ? a -> a b
    """

    answer = "readout"
    paper = "Vasylenko et al. 2025 (arXiv 2506.16640), MQMTAR"

    def __init__(self, *, letters: Positive = 2, queries: Positive = 2, alphabet: SeveralLetters = 16) -> None:
        words = alphabet**letters
        check_range("queries", queries, 1, words)
        self.letters, self.queries, self.alphabet = letters, queries, alphabet
        self.symbols = (*ascii_lowercase[:alphabet], ":", "_", "?")
        self.lengths = range(queries, min(words, 1 << 12) + 1)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw pairs, spread the spaces, and append queries of different pairs."""
        colon, space, question = range(self.alphabet, self.alphabet + 3)
        keys = self._spell(shuffle(stream, draw_subset(stream, self.alphabet**self.letters, length)))
        values = stream.integers(self.alphabet, length, self.letters)
        pairs = torch.cat((keys, torch.full_like(keys[..., :1], colon), values), dim=2)  # [B, length, width]
        spaces = stream.integers(length + 1, length).sort(1).values  # the number of pairs before each space
        asked = keys.gather(1, self._index(stream.permutation(length)[:, : self.queries]))
        marks = torch.full_like(asked[..., :1], question)
        context = self._place(pairs, spaces, space)
        return torch.cat((context, torch.cat((marks, asked), dim=2).flatten(1)), dim=1)

    def _place(self, pairs: Tensor, spaces: Tensor, space: int) -> Tensor:
        """Write the pairs in order, each after the spaces that come before it: long ``[B, length * (width + 1)]``."""
        rows, length, width = pairs.shape
        number = torch.arange(length, device=pairs.device).expand(rows, -1).contiguous()
        before = torch.searchsorted(spaces, number, right=True)  # spaces before each pair
        start = number * width + before
        position = start[..., None] + torch.arange(width, device=pairs.device)
        context = pairs.new_full((rows, length * (width + 1)), space)
        return context.scatter(1, position.flatten(1), pairs.flatten(1))

    def _spell(self, words: Tensor) -> Tensor:
        """Return the letters of numbered words: long ``[..., letters]``."""
        powers = self.alphabet ** torch.arange(self.letters - 1, -1, -1, device=words.device)
        return words[..., None] // powers % self.alphabet

    def _index(self, pairs: Tensor) -> Tensor:
        """Return an index that gathers the letters of pairs."""
        return pairs[..., None].expand(-1, -1, self.letters)

    def solve(self, source: Tensor) -> Tensor:
        """Find for each query the colon before which its key stands."""
        width = self.queries * (self.letters + 1)
        context, queries = source[:, :-width], source[:, -width:].unflatten(1, (self.queries, -1))[..., 1:]
        windows = context.unfold(1, 2 * self.letters + 1, 1)  # [B, places, key : value]
        is_pair = windows[..., self.letters] == self.alphabet
        matches = (windows[:, None, :, : self.letters] == queries[:, :, None]).all(-1) & is_pair[:, None]
        place = matches.byte().argmax(2)  # [B, queries]
        return windows[..., -self.letters :].gather(1, self._index(place)).flatten(1)
