"""Alignment scores between decoder states and encoder states.

Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", section 3.1::

    dot:      h_t . h-_s
    general:  h_t . W_a h-_s
    concat:   v_a . tanh(W_a [h_t; h-_s])

In ``general``, ``query`` is the transpose of ``W_a``: it maps ``h_t``, so that the encoder states need no map.
In ``concat``, ``W_a`` is two matrices, ``query`` for ``h_t`` and ``key`` for ``h-_s``. The product with ``key`` is
computed once for each source.
"""

from typing import Literal

from torch import Tensor, nn

from architectures.base import State

ScoreName = Literal["dot", "general", "concat"]


class Dot(nn.Module):
    """The inner product of both states."""

    def __init__(self, width: int) -> None:
        super().__init__()

    def keys(self, annotations: Tensor) -> State:
        """Return values that are computed once for a source ``[B, S, D]``: none."""
        return ()

    def forward(self, hidden: Tensor, annotations: Tensor, keys: State) -> Tensor:
        """Score ``[B, T, D]`` against ``[B, S, D]``: ``[B, T, S]``."""
        return hidden @ annotations.mT


class General(Dot):
    """The inner product after a linear map."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.query = nn.Linear(width, width, bias=False)

    def forward(self, hidden: Tensor, annotations: Tensor, keys: State) -> Tensor:
        """Score each pair of positions."""
        return super().forward(self.query(hidden), annotations, keys)


class Concat(General):
    """One hidden layer over both states."""

    def __init__(self, width: int) -> None:
        super().__init__(width)
        self.key = nn.Linear(width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)

    def keys(self, annotations: Tensor) -> State:
        """Return the encoder's part of the hidden layer, ``[B, S, D]``."""
        return self.key(annotations)

    def forward(self, hidden: Tensor, annotations: Tensor, keys: State) -> Tensor:
        """Score each pair of positions."""
        return self.score((self.query(hidden)[:, :, None] + keys[:, None]).tanh())[..., 0]


SCORES: dict[str, type[Dot]] = {"dot": Dot, "general": General, "concat": Concat}
