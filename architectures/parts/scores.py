"""Score functions: the number for a query and a key that enters the softmax.

========  =============================================  ==========================================================
score     of ``q`` and ``k`` in one head                 source
========  =============================================  ==========================================================
dot       ``q . k / sqrt(E)``                            Vaswani et al. 2017, equation 1
cosine    ``g  q . k / (|q| |k|)``, ``g`` learned        Henry et al. 2020, "Query-Key Normalization for
                                                         Transformers"
additive  ``v . tanh(q + k)``, ``v`` learned             Bahdanau et al. 2014, section A.1.2, where a query is
                                                         ``W_a s`` and a key ``U_a h``
========  =============================================  ==========================================================

The cosine's ``g`` starts at ``log2(L^2 - L)``, as in the paper, where ``L`` is the 97.5th percentile of the lengths in
training. A layer does not know these lengths, so :data:`TYPICAL_LENGTH` is used instead. Each layer has one ``g``.

After ``rope`` rotates queries and keys, dot products depend on distances only, but the additive score does not. It
stores ``E`` numbers for every pair of positions, and no fast kernel computes it.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

ScoreName = Literal["dot", "additive", "cosine"]
Score = Callable[[Tensor, Tensor], Tensor]
"""Queries ``[B, H, Lq, E]`` and keys ``[B, H, Lk, E]`` to scores ``[B, H, Lq, Lk]``."""

TYPICAL_LENGTH = 40
"""The length ``L`` from which the initial ``g`` of the cosine is computed."""


def scaled_dot(q: Tensor, k: Tensor) -> Tensor:
    """Return ``q k^T / sqrt(E)``."""
    return torch.einsum("bhqe,bhke->bhqk", q, k) / math.sqrt(q.shape[-1])


class Dot(nn.Module):
    """The scaled dot product, without parameters. ``function`` scores the results of ``query`` and ``key``."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()

    def query(self, q: Tensor) -> Tensor:
        """Prepare queries ``[B, H, L, E]``, before the position encoding."""
        return q

    def key(self, k: Tensor) -> Tensor:
        """Prepare keys ``[B, H, L, E]``; the cache stores the result."""
        return k

    @property
    def function(self) -> Score:
        """The function that scores pairs; fast kernels compute :func:`scaled_dot` only."""
        return scaled_dot


class Cosine(Dot):
    """The scaled dot product of normalised queries and keys, with a learned scale."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.scale = nn.Parameter(torch.tensor(math.log2(TYPICAL_LENGTH**2 - TYPICAL_LENGTH)))

    def query(self, q: Tensor) -> Tensor:
        """Scale every query to the norm ``g sqrt(E)``; the factor ``1 / sqrt(E)`` of the dot product leaves ``g``."""
        return F.normalize(q, dim=-1) * self.scale * math.sqrt(q.shape[-1])

    def key(self, k: Tensor) -> Tensor:
        """Scale every key to norm 1."""
        return F.normalize(k, dim=-1)


class Additive(Dot):
    """One hidden layer over query and key, as wide as a head; ``v`` is initialised like other linear maps."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.v = nn.Parameter(torch.empty(heads, head_width).uniform_(-1, 1) / math.sqrt(head_width))

    @property
    def function(self) -> Score:
        """The function that scores pairs."""
        return self._compare

    def _compare(self, q: Tensor, k: Tensor) -> Tensor:
        hidden = (q[:, :, :, None] + k[:, :, None]).tanh()  # [B, H, Lq, Lk, E]
        return torch.einsum("bhqke,he->bhqk", hidden, self.v)


SCORES: dict[ScoreName, type[Dot]] = {"dot": Dot, "additive": Additive, "cosine": Cosine}
