"""Back-off n-gram model: the next symbol depends on the last few tokens, as often as it followed them so far.

Witten & Bell 1991, "The Zero-Frequency Problem: Estimating the Probabilities of Novel Events in Adaptive Text
Compression", method C, in the recursive form of Chen & Goodman 1998, "An Empirical Study of Smoothing Techniques for
Language Modeling".

Glossary (paper <-> code):
    n               order of the model                           <-> order
    h = w_{i-n+1} .. w_{i-1}   history                           <-> window   [.., n - 1], its last k tokens for k < n
    c(h w)          times that w followed h                      <-> counts[k][number of h, w]
    c(h)            times that h was seen                        <-> total
    N_1+(h .)       different symbols that followed h            <-> kinds

    p_k(w | h) = (c(h w) + N_1+(h .) p_{k-1}(w | h')) / (c(h) + N_1+(h .))     h' = h without its first token
    p_k(w | h) = p_{k-1}(w | h')  where h was never seen                       p_{-1}(w) = 1 / V

Method C takes "something new" for an event that happened once for each symbol that was new when it came; its share of
the probability goes to the shorter history. So a history never seen falls back entirely, and one seen often hardly.

Differs from the paper: what is counted is the answer expected after the tokens that the model sees, be it the next
token or a label, at the places where one is asked. Counts stand in dense tables, one for each length of history, so
that the model has a fixed size; their bound is :data:`LARGEST`. They are float32, exact up to 2^24.
"""

from collections.abc import Iterable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Positive, SequenceModel, State

LARGEST = 1 << 22
"""The most counts a model may have (16 MiB)."""


class NGram(SequenceModel):
    """Fitted by counting, without gradients; the counts are its parameters.

    Args:
        symbols: the alphabet; token ids are positions in it. What stands before the first token is one more.
        order: the model sees ``order - 1`` tokens, the newest included, and predicts the one after.
    """

    steps = True
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
            asked = target >= 0
            histories, symbols = self._numbers(self._windows(source, prefix))[asked], target[asked]
            for table, rows in zip(self.counts, histories.unbind(-1), strict=True):
                cells = rows * self.size + symbols
                table.view(-1).index_add_(0, cells, torch.ones_like(cells, dtype=table.dtype))

    def start(self, source: Tensor) -> State:
        """Return the last ``order - 1`` tokens of the source."""
        return self._padded(source)[:, source.shape[1] :]

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Move the window on by one token."""
        window = torch.cat((state, token[:, None]), dim=1)[:, 1:]
        return self._log_probabilities(window), window

    def _padded(self, tokens: Tensor) -> Tensor:
        """Put a whole window of "nothing yet" before the tokens ``[B, L]``."""
        return F.pad(tokens, (self.order - 1, 0), value=self.size)

    def _windows(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Return the tokens seen at each place that is answered, the newest last: ``[B, T, order - 1]``."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        answered = source.shape[1] if prefix is None else prefix.shape[1]
        return self._padded(tokens).unfold(1, self.order - 1, 1)[:, -answered:]

    def _numbers(self, windows: Tensor) -> Tensor:
        """Number the histories of every length from 0: ``[..., order - 1]`` to ``[..., order]``.

        The newest token is the lowest digit, in base ``V + 1``.
        """
        return F.pad((windows.flip(-1) * self.place_values).cumsum(-1), (1, 0))

    def _log_probabilities(self, windows: Tensor) -> Tensor:
        """Map windows ``[..., order - 1]`` to ``[..., V]``, from the shortest history to the longest."""
        probability = self.counts[0].new_full((self.size,), 1 / self.size)
        for table, rows in zip(self.counts, self._numbers(windows).unbind(-1), strict=True):
            seen = F.embedding(rows, table)  # [..., V]
            total, kinds = seen.sum(-1, keepdim=True), (seen > 0).sum(-1, keepdim=True)
            blend = (seen + kinds * probability) / (total + kinds).clamp(min=1)
            probability = torch.where(total > 0, blend, probability)
        return probability.log()


def check_size(size: int, order: int) -> None:
    """Raise ValueError where the tables of an order are too large for an alphabet of ``size`` symbols."""
    if (needed := _cells(size, order)) > LARGEST:
        fits = next(n for n in range(order, 0, -1) if n == 1 or _cells(size, n) <= LARGEST)
        limit = f"more than {LARGEST:,}; the largest that fits: order={fits}"
        raise ValueError(f"order={order} needs {needed:,} counts for {size} symbols, {limit}")


def _cells(size: int, order: int) -> int:
    return sum((size + 1) ** length * size for length in range(order))
