"""Log-linear Gated DeltaNet: the gated delta rule with a state for each range of ages, which grow as powers of two.

Guo et al. 2025, "Log-Linear Attention", section 3.4; the recurrence and its forms are in ``parts/scans/fenwick.py``.
Each token multiplies the states of all levels by the same transition, and writes to level 0.

Glossary (paper <-> code):
    lambda_t^l    weight of level l          <-> weights    [B, H, L, n], a softplus
    S_t^l         state of level l           <-> states     [B, H, n, E, V]
    other symbols                            <-> as in ``gated_deltanet.py``

    o_t = sum_l lambda_t^l (S_t^l)^T q_t

Where all weights are one it is Gated DeltaNet.

Differs from the paper: there are 6 levels, of which the last holds all positions that are older (see
``log_linear_mamba2.py``). Sizes and short convolutions are those of ``gated_deltanet.py``.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from architectures.base import Context, Eigenvalues, Positive, State
from architectures.parts.delta_layer import DeltaLayer
from architectures.parts.scans import fenwick


class LogLinearDeltaNet(DeltaLayer):
    """The gated delta rule with levels. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        levels: levels ``n``; the last holds all positions that are at least ``2^(n-2)`` back, or more.
        heads: number of heads ``H``.
        expand: ratio of value channels to query channels.
        conv: number of positions that the convolutions of queries, keys and values mix.
        eigenvalues: ``positive`` as in the paper, in [0, 1], or ``signed``, in [-1, 1].
        kernel: ``recurrent`` is the equation, ``parallel`` scores all pairs, ``chunked`` combines both. ``auto`` is
            ``chunked``.
    """

    def __init__(
        self,
        width: int,
        *,
        levels: Positive = 6,
        heads: Positive = 4,
        expand: Positive = 2,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: Literal["auto", "recurrent", "parallel", "chunked"] = "auto",
    ) -> None:
        super().__init__(width, heads, expand, conv, eigenvalues, "chunked", decays=True, gated=True)
        self.kernel_in_use = "chunked" if kernel == "auto" else kernel
        self.level_weights = fenwick.LevelWeights(width, heads, levels)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        mixed, window = self.convolution.prefill(self.into(x), silu=True)
        q, k, v, *others = self._project(mixed, x)
        form = fenwick.FORMS[self.kernel_in_use]
        out, states = form(fenwick.DELTA, q, k, v, tuple(others), self.level_weights(x))
        return self._output(out, x), (window, states, fenwick.count(x, x.shape[1]))

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolutions, the states of all levels, and the number of positions."""
        window, state = super().start(rows, like)
        states = state[:, :, None].expand(-1, -1, self.level_weights.scale.shape[-1], -1, -1)
        return window, states, fenwick.count(window, 0)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, states, time = state
        mixed, window = self.convolution.step(self.into(x), window)
        q, *update = (z[..., 0, :] for z in self._project(F.silu(mixed[:, None]), x[:, None]))
        states = fenwick.advance(fenwick.DELTA, states, time, *update)
        out = fenwick.read(states, q, self.level_weights(x[:, None])[:, :, 0])
        return self._output(out[..., None, :], x[:, None])[:, 0], (window, states, time + 1)
