"""Log-linear Mamba-2: Mamba-2 with a state for each range of ages, which grow as powers of two.

Guo et al. 2025, "Log-Linear Attention", section 3.3; the recurrence and its forms are in ``parts/scans/fenwick.py``.
Memory and time of a step grow with the logarithm of the length, up to ``levels`` states.

Glossary (paper <-> code):
    lambda_t^l    weight of level l          <-> weights    [B, 1, H, L, n], a softplus
    S_t^l         state of level l           <-> states     [B, 1, H, n, N, P]
    other symbols                            <-> as in ``mamba2.py``

    y_t = sum_l lambda_t^l C_t^T S_t^l + D x_t

Where all weights are one it is Mamba-2.

Differs from the paper: there are 6 levels, of which the last holds all positions that are older. The paper has one for
each power of two up to the longest sequence; those beyond the training lengths then have weights that were never
trained. The linear maps start as in ``mamba2.py``.
"""

from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from architectures.base import Context, Positive, State
from architectures.linear.mamba2 import Mamba2, heads_last
from architectures.parts.scans import fenwick


class LogLinearMamba2(Mamba2):
    """One log-linear Mamba-2 block without its norm and residual. The block of the paper has no feed-forward.

    Args:
        width: channels ``D``; ``expand * width`` is a multiple of the heads.
        levels: levels ``n``; the last holds all positions that are at least ``2^(n-2)`` back, or more.
        state: states ``N`` of every channel.
        heads: number of heads ``H``.
        expand: ratio of inner to outer channels.
        conv: number of positions that the convolution before the state space mixes.
        kernel: ``recurrent`` is the equation, ``parallel`` scores all pairs, ``chunked`` combines both. ``auto`` is
            ``chunked``.
    """

    def __init__(
        self,
        width: int,
        *,
        levels: Positive = 6,
        state: Positive = 64,
        heads: Positive = 8,
        expand: Positive = 2,
        conv: Positive = 4,
        kernel: Literal["auto", "recurrent", "parallel", "chunked"] = "auto",
    ) -> None:
        super().__init__(width, state=state, heads=heads, expand=expand, conv=conv, kernel="chunked")
        self.kernel_in_use = "chunked" if kernel == "auto" else kernel
        self.level_weights = fenwick.LevelWeights(width, heads, levels)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        weights = self.level_weights(x)[:, None]
        gate, mixed, delta = self._project(x)
        mixed, window = self.convolution.prefill(mixed, silu=True)
        inputs, B, C = self._split(mixed)
        q, k, v, log_decay = self._attention_inputs(inputs, delta, B, C)
        y, states = fenwick.FORMS[self.kernel_in_use](fenwick.DECAY, q, k, v, (log_decay,), weights)
        return self._output(heads_last(y), inputs, gate), (window, states, fenwick.count(x, x.shape[1]))

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the window of the convolution, the states of all levels, and the number of positions."""
        window, state = super().start(rows, like)
        levels = self.level_weights.scale.shape[-1]
        states = state[:, :, :, None].expand(-1, -1, -1, levels, -1, -1)
        return window, states, fenwick.count(window, 0)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        window, states, time = state
        weights = self.level_weights(x[:, None])[:, None, :, 0]
        gate, mixed, delta = self._project(x[:, None])
        mixed, window = self.convolution.step(mixed[:, 0], window)
        inputs, B, C = self._split(F.silu(mixed[:, None]))
        q, *update = (z[..., 0, :] for z in self._attention_inputs(inputs, delta, B, C))
        states = fenwick.advance(fenwick.DECAY, states, time, *update)
        y = fenwick.read(states, q, weights).flatten(1, 2)[:, None]
        return self._output(y, inputs, gate)[:, 0], (window, states, time + 1)
