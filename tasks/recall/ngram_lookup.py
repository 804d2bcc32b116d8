"""N-gram look-up: return the letters that follow a given n-gram in a long string.

Jelassi et al. 2024 ("Repeat After Me: Transformers are Better than State Space Models at Copying"). If the n-gram
precedes the string (``prefix``), a memory of fixed size suffices. If it follows the string (``suffix``), a model has to
remember the whole string.
"""

from string import ascii_lowercase
from typing import Annotated, Literal

import torch
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import Positive, SeveralLetters


class NgramLookup(Task):
    """Write the letters that follow the first occurrence of the n-gram.

    The length is that of the string, which is uniform. The n-gram is uniform among those that occur once, or among all
    of them if none does. (The authors describe an n-gram that occurs once, but their code takes any. Their answer may
    also be the whole rest of the string, whose length would then differ between rows.)

    Args:
        key: position of the n-gram, ``prefix`` before the string or ``suffix`` after it.
        n: number of letters of the n-gram.
        continuation: number of letters of the answer.
        alphabet: number of letters.

    Examples:
        g a b c d e f g h | c d e -> f
        key=prefix: c d e | g a b c d e f g h -> f
        continuation=3: z a b c d e f | z a b -> c d e
        n=1,alphabet=2: a b b | a -> b
    """

    answer = "generate"
    paper = "Jelassi et al. 2024 (arXiv 2402.01032), n-gram look-up"

    def __init__(
        self,
        *,
        key: Literal["prefix", "suffix"] = "suffix",
        n: Annotated[int, Interval(ge=1, le=12)] = 3,
        continuation: Positive = 1,
        alphabet: SeveralLetters = 26,
    ) -> None:
        self.prefix, self.n, self.continuation = key == "prefix", n, continuation
        self.symbols = (*ascii_lowercase[:alphabet], "|")
        self.lengths = range(n + continuation, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a string and one of its n-grams, preferably one that occurs once."""
        string = stream.integers(len(self.symbols) - 1, length)
        codes = self._codes(string[:, : length - self.continuation])
        start = (stream.uniform(codes.shape[1]) + _is_unique(codes)).argmax(1, keepdim=True)
        ngram = string.gather(1, start + torch.arange(self.n, device=stream.device))
        bar = torch.full_like(start, len(self.symbols) - 1)
        return torch.cat((ngram, bar, string) if self.prefix else (string, bar, ngram), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Compare the code of the n-gram with the codes of all n-grams of the string."""
        ngram, string = source[:, -self.n :], source[:, : -self.n - 1]
        if self.prefix:
            ngram, string = source[:, : self.n], source[:, self.n + 1 :]
        codes = self._codes(string[:, : string.shape[1] - self.continuation])
        start = (codes == self._codes(ngram)).byte().argmax(1, keepdim=True)
        return string.gather(1, start + self.n + torch.arange(self.continuation, device=source.device))

    def _codes(self, string: Tensor) -> Tensor:
        """Encode every n-gram as a number: long ``[B, N]`` to ``[B, N - n + 1]``."""
        weights = len(self.symbols) ** torch.arange(self.n, device=string.device)
        return (string.unfold(1, self.n, 1) * weights).sum(-1)


def _is_unique(codes: Tensor) -> Tensor:
    """Return which entries of each row occur once: bool, the shape of ``codes``."""
    ordered, order = codes.sort(dim=1)
    edge = torch.ones_like(ordered[:, :1], dtype=torch.bool)
    # Whether each sorted entry differs from the previous one, [B, N + 1]; both ends count as different.
    differs = torch.cat((edge, ordered[:, 1:] != ordered[:, :-1], edge), dim=1)
    return torch.zeros_like(differs[:, 1:]).scatter(1, order, differs[:, :-1] & differs[:, 1:])
