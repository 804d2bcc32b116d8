"""Score functions: how much a query likes a key, before the softmax.

========  =============================================  ==========================================================
score     of a query ``q`` and a key ``k``, a head       source
========  =============================================  ==========================================================
dot       ``q . k / sqrt(E)``                            Vaswani et al. 2017, equation 1
cosine    ``g  q . k / (|q| |k|)``, ``g`` learned        Henry et al. 2020, "Query-Key Normalization for
                                                         Transformers"
additive  ``v . tanh(q + k)``, ``v`` learned             Bahdanau et al. 2014, section A.1.2, where a query is
                                                         ``W_a s`` and a key ``U_a h``
========  =============================================  ==========================================================

The cosine's ``g`` starts at ``log2(L^2 - L)``, as in the paper, where ``L`` is the 97.5th percentile of the lengths in
training. A layer does not know these, so :data:`TYPICAL_LENGTH` stands for it. There is one ``g`` a layer.

The additive score depends on distances alone only where the positions do: not after ``rope`` has turned its queries and
keys, which suits products. It keeps ``E`` numbers for every pair of positions; no fast kernel computes it.
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


def scaled_dot(q: Tensor, k: Tensor) -> Tensor:
    """Return ``q k^T / sqrt(E)``."""
    return torch.einsum("bhqe,bhke->bhqk", q, k) / math.sqrt(q.shape[-1])


class Dot(nn.Module):
    """The scaled dot product; without parameters. ``function`` scores what ``query`` and ``key`` return."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__()

    def query(self, q: Tensor) -> Tensor:
        """Prepare queries ``[B, H, L, E]``, before positions turn them."""
        return q

    def key(self, k: Tensor) -> Tensor:
        """Prepare keys ``[B, H, L, E]``; a cache keeps what is returned."""
        return k

    @property
    def function(self) -> Score:
        """What scores pairs; :func:`scaled_dot` is what fast kernels compute."""
        return scaled_dot


class Cosine(Dot):
    """A scaled dot product too, of vectors that have been given their length beforehand."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.scale = nn.Parameter(torch.tensor(math.log2(TYPICAL_LENGTH**2 - TYPICAL_LENGTH)))

    def query(self, q: Tensor) -> Tensor:
        """Give every query the length ``g sqrt(E)``, which the dot product's scale makes ``g``."""
        return F.normalize(q, dim=-1) * self.scale * math.sqrt(q.shape[-1])

    def key(self, k: Tensor) -> Tensor:
        """Give every key length 1."""
        return F.normalize(k, dim=-1)


class Additive(Dot):
    """One hidden layer over query and key, of a head's width; ``v`` starts like any other linear map."""

    def __init__(self, heads: int, head_width: int) -> None:
        super().__init__(heads, head_width)
        self.v = nn.Parameter(torch.empty(heads, head_width).uniform_(-1, 1) / math.sqrt(head_width))

    @property
    def function(self) -> Score:
        """Score each pair."""
        return self._compare

    def _compare(self, q: Tensor, k: Tensor) -> Tensor:
        hidden = (q[:, :, :, None] + k[:, :, None]).tanh()  # [B, H, Lq, Lk, E]
        return torch.einsum("bhqke,he->bhqk", hidden, self.v)


SCORES: dict[ScoreName, type[Dot]] = {"dot": Dot, "additive": Additive, "cosine": Cosine}
