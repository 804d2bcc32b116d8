"""Back-off n-gram model: it predicts the next symbol from counts of what followed the last few tokens.

Witten & Bell 1991, "The Zero-Frequency Problem: Estimating the Probabilities of Novel Events in Adaptive Text
Compression", method C, in the recursive form of Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for
Language Modeling".

Glossary (paper <-> code):
    n               order of the model                           <-> order
    h = w_{i-n+1} .. w_{i-1}   history                           <-> window   [.., n - 1], its last k tokens for k < n
    c(h w)          times that w followed h                      <-> counts[k][number of h, w]
    c(h)            times that h was seen                        <-> total
    N_1+(h .)       number of distinct symbols that followed h   <-> distinct

    p_k(w | h) = (c(h w) + N_1+(h .) p_{k-1}(w | h')) / (c(h) + N_1+(h .))     h' = h without its first token
    p_k(w | h) = p_{k-1}(w | h')  where h was never seen                       p_{-1}(w) = 1 / V

Method C counts "a new symbol" as one more event, which occurred ``N_1+(h .)`` times. Its share of the probability goes
to the shorter history. An unseen history therefore falls back entirely, and a frequent one hardly at all.

Differs from the paper: the model counts the target after the tokens that it has read, which is the next token or a
label, at positions that have a target. Counts are stored in dense tables, one for each length of history, so that the
model has a fixed size of at most :data:`LARGEST` counts. They are float32, exact up to 2^24.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Positive, SequenceModel, State

LARGEST = 1 << 22
"""The maximum number of counts of a model (16 MiB)."""


class NGram(SequenceModel):
    """Fitted by counting, without gradients; the counts are its parameters.

    Args:
        symbols: the alphabet; token ids are indices into it. The padding before the first token is one more symbol.
        order: the model reads ``order - 1`` tokens, including the newest, and predicts the next one.
    """

    can_step = True
    place_values: Tensor

    def __init__(self, symbols: tuple[str, ...], *, order: Positive = 3) -> None:
        super().__init__(symbols)
        self.size, self.order = len(symbols), order
        check_size(self.size, order)
        histories = [(self.size + 1) ** length for length in range(order)]
        tables = (torch.zeros(rows, self.size) for rows in histories)
        self.counts = nn.ParameterList(nn.Parameter(table, requires_grad=False) for table in tables)
        self.register_buffer("place_values", torch.tensor(histories[:-1], dtype=torch.long), persistent=False)

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return log probabilities for ``[B, S]`` and ``[B, T]``: ``[B, T, V]``, or ``[B, S, V]`` with no prefix."""
        return self._log_probabilities(self._windows(source, prefix))

    @torch.no_grad()
    def fit(self, batches: Iterable[tuple[Tensor, Tensor | None, Tensor]]) -> None:
        """Add the batches to the counts."""
        for source, prefix, target in batches:
            has_target = target >= 0
            histories, symbols = self._numbers(self._windows(source, prefix))[has_target], target[has_target]
            for table, rows in zip(self.counts, histories.unbind(-1), strict=True):
                cells = rows * self.size + symbols
                table.view(-1).index_add_(0, cells, torch.ones_like(cells, dtype=table.dtype))

    def start(self, source: Tensor) -> State:
        """Return the last ``order - 1`` tokens of the source."""
        return self._padded(source)[:, source.shape[1] :]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Shift the window by one token."""
        window = torch.cat((state, token[:, None]), dim=1)[:, 1:]
        return self._log_probabilities(window), window

    def _padded(self, tokens: Tensor) -> Tensor:
        """Put a window of the padding symbol before the tokens ``[B, L]``."""
        return F.pad(tokens, (self.order - 1, 0), value=self.size)

    def _windows(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return the window of tokens at each predicted position, the newest last: ``[B, T, order - 1]``."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        predicted = source.shape[1] if prefix is None else prefix.shape[1]
        return self._padded(tokens).unfold(1, self.order - 1, 1)[:, -predicted:]

    def _numbers(self, windows: Tensor) -> Tensor:
        """Number the histories of every length from 0: ``[..., order - 1]`` to ``[..., order]``.

        The newest token is the lowest digit, in base ``V + 1``.
        """
        return F.pad((windows.flip(-1) * self.place_values).cumsum(-1), (1, 0))

    def _log_probabilities(self, windows: Tensor) -> Tensor:
        """Map windows ``[..., order - 1]`` to ``[..., V]``, from the shortest history to the longest."""
        probability = self.counts[0].new_full((self.size,), 1 / self.size)
        for table, rows in zip(self.counts, self._numbers(windows).unbind(-1), strict=True):
            counts = F.embedding(rows, table)  # [..., V]
            total, distinct = counts.sum(-1, keepdim=True), (counts > 0).sum(-1, keepdim=True)
            smoothed = (counts + distinct * probability) / (total + distinct).clamp(min=1)
            probability = torch.where(total > 0, smoothed, probability)
        return probability.log()


def check_size(size: int, order: int) -> None:
    """Raise ValueError if the tables of an order are too large for an alphabet of ``size`` symbols."""
    if (needed := _cells(size, order)) > LARGEST:
        largest_order = next(n for n in range(order, 0, -1) if n == 1 or _cells(size, n) <= LARGEST)
        limit = f"more than {LARGEST:,}; the largest order that fits is {largest_order}"
        raise ValueError(f"order={order} needs {needed:,} counts for {size} symbols, {limit}")


def _cells(size: int, order: int) -> int:
    return sum((size + 1) ** length * size for length in range(order))
