"""N-gram look-up: what follows this n-gram in a long string?

Jelassi et al. 2024 ("Repeat After Me: Transformers are Better than State Space Models at Copying"). Told before the
string what to look for (``prefix``), a memory of fixed size can wait for it; told after it (``suffix``), it would have
to keep everything.
"""

from string import ascii_lowercase
from typing import Literal

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import one_of, within


class NgramLookup(Task):
    """Write what follows the first occurrence of the n-gram.

    The length is that of the string, which is uniform. The n-gram is uniform among those that occur once, or among all
    where there is none. (The authors mean to ask for one that occurs once, their code for any; it may also ask for the
    whole rest of the string, whose length would then differ between rows.)

    Args:
        key: where the n-gram stands: ``prefix`` before the string, ``suffix`` after it.
        n: letters of the n-gram.
        continuation: letters asked.
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
        self, *, key: Literal["prefix", "suffix"] = "suffix", n: int = 3, continuation: int = 1, alphabet: int = 26
    ) -> None:
        one_of("key", key, ("prefix", "suffix"))
        within("n", n, 1, 12)
        within("continuation", continuation, 1)
        within("alphabet", alphabet, 2, len(ascii_lowercase))
        self.prefix, self.n, self.continuation = key == "prefix", n, continuation
        self.symbols = (*ascii_lowercase[:alphabet], "|")
        self.lengths = range(n + continuation, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a string and one of its n-grams."""
        string = stream.integers(len(self.symbols) - 1, length)
        codes = self._codes(string[:, : length - self.continuation])
        start = (stream.uniform(codes.shape[1]) + _once(codes)).argmax(1, keepdim=True)
        ngram = string.gather(1, start + torch.arange(self.n, device=stream.device))
        bar = torch.full_like(start, len(self.symbols) - 1)
        return torch.cat((ngram, bar, string) if self.prefix else (string, bar, ngram), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Compare the code of the n-gram with all codes of the string."""
        ngram, string = source[:, -self.n :], source[:, : -self.n - 1]
        if self.prefix:
            ngram, string = source[:, : self.n], source[:, self.n + 1 :]
        codes = self._codes(string[:, : string.shape[1] - self.continuation])
        start = (codes == self._codes(ngram)).byte().argmax(1, keepdim=True)
        return string.gather(1, start + self.n + torch.arange(self.continuation, device=source.device))

    def _codes(self, string: Tensor) -> Tensor:
        """Write every n-gram as a number: long ``[B, N]`` to ``[B, N - n + 1]``."""
        weights = len(self.symbols) ** torch.arange(self.n, device=string.device)
        return (string.unfold(1, self.n, 1) * weights).sum(-1)


def _once(codes: Tensor) -> Tensor:
    """Say which entries of each row occur once: bool, the shape of ``codes``."""
    ordered, order = codes.sort(dim=1)
    step = torch.ones_like(ordered[:, :1], dtype=torch.bool)
    new = torch.cat((step, ordered[:, 1:] != ordered[:, :-1], step), dim=1)  # [B, N + 1], both ends are new
    return torch.zeros_like(new[:, 1:]).scatter(1, order, new[:, :-1] & new[:, 1:])
