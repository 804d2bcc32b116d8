"""Mamba-3 with several inputs and outputs (MIMO): each step writes and reads the state with R vectors, not one.

Lahoti et al. 2026, "Mamba-3" (arXiv 2603.15569), the section on MIMO. The state keeps its size and has R times as much
to do with each number that is read from memory, which costs little time where memory limits the speed.

Glossary (paper <-> code; the rest as in ``mamba3.py``):
    R              rank                                 <-> rank
    B_r, C_r       input and output vectors             <-> keys, queries   [B, H, L, R, N], biases by head and rank
    x_r            x times a vector of head and rank    <-> values          [B, H, L, R, P]
    z_r            gate, likewise                       <-> gate * gate_split
    W_x, W_z, W_o  these vectors                        <-> input_split, gate_split, output_join   [H, R, P]

    h_t = a_t h_{t-1} + sum_r (1 - lambda_t) Delta_t a_t k_{t-1,r} x_{t-1,r}^T + lambda_t Delta_t k_{t,r} x_{t,r}^T
    y_t = sum_r W_o,r (h_t^T q_{t,r} + D x_{t,r}) silu(z_{t,r})

The vectors start at 1 / R, 1 and 1 / R. With R = 1 and vectors of one it is ``mamba3``.

Differs from the paper as ``mamba3`` does: 4 heads instead of heads of 64 channels, and 32 states.
"""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Context, Positive, State
from architectures.linear.mamba3 import LEAST_RATE, Mamba3, Projected, next_weight, rotate
from architectures.parts.scans import decay

CHUNK = 64


class Mamba3MIMO(Mamba3):
    """One Mamba-3 layer of rank R. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        rank: vectors ``R`` that each step writes and reads.
        state: states ``N`` of every channel, a multiple of 4; half of them turn.
        heads: number of heads ``H``, a divisor of ``expand * width``.
        expand: ratio of inner to outer channels.
        kernel: ``recurrent`` is the equation, step by step, ``parallel`` scores all pairs, ``chunked`` combines both.
            ``auto`` is ``chunked``.
    """

    def __init__(
        self,
        width: int,
        *,
        rank: Positive = 4,
        state: Positive = 32,
        heads: Positive = 4,
        expand: Positive = 2,
        kernel: Literal["auto", "recurrent", "parallel", "chunked"] = "auto",
    ) -> None:
        super().__init__(width, state=state, heads=heads, expand=expand, kernel=kernel)
        self.parts[2:4] = [rank * state, rank * state]
        self.into = nn.Linear(width, sum(self.parts), bias=False)
        self.key_bias, self.query_bias = (nn.Parameter(torch.ones(heads, rank, state)) for _ in range(2))
        shape = heads, rank, expand * width // heads
        self.input_split, self.output_join = (nn.Parameter(torch.full(shape, 1 / rank)) for _ in range(2))
        self.gate_split = nn.Parameter(torch.ones(shape))

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        p = self._project(x)
        chunk = CHUNK if self.kernel_in_use == "chunked" else x.shape[1]
        read_values, h = recurrent(p) if self.kernel_in_use == "recurrent" else chunked(p, chunk)
        return self._output(read_values, p), (p.angle[:, :, -1], h, p.keys[:, :, -1], p.values[:, :, -1])

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: angle ``[B, H, K]``, state ``[B, H, N, P]``, last keys ``[B, H, R, N]``, last values."""
        _, rank, states = self.key_bias.shape
        channels = self.input_split.shape[-1]
        sizes = ((self.turning,), (states, channels), (rank, states), (rank, channels))
        return tuple(like.new_zeros(rows, self.heads, *size) for size in sizes)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        angle, h, keys, values = state
        p = self._project(x[:, None], angle)
        k, v, *scalars = (z[:, :, 0] for z in (p.keys, p.values, p.log_decay, p.delta, p.current))
        h = update(h, keys, values, k, v, *scalars)
        out = self._output((p.queries[:, :, 0] @ h)[:, :, None], p)
        return out[:, 0], (p.angle[:, :, 0], h, k, v)

    def _project(self, x: Tensor, angle: Tensor | None = None) -> Projected:
        """Project ``[B, L, D]``; ``angle`` is the one before the first position, 0 by default."""
        gate, x, B, C, delta, rate, current, turn = self.into(x).split(self.parts, dim=-1)
        delta, log_decay, current, angles = self._scalars(delta, rate, current, turn, angle)
        keys, queries = (
            rotate(norm(z.unflatten(-1, bias.shape[1:]))[:, None] + bias[:, None], angles[..., None, :])
            for z, norm, bias in ((B, self.key_norm, self.key_bias), (C, self.query_norm, self.query_bias))
        )
        return Projected(queries, keys, self._split(x, self.input_split), log_decay, delta, current, angles, gate)

    def _scalars(
        self, delta: Tensor, rate: Tensor, current: Tensor, turn: Tensor, angle: Tensor | None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return step sizes, logarithms of decays and current weights ``[B, H, L, 1]``, and angles ``[B, H, L, K]``."""
        delta, rate, current = (
            z.transpose(1, 2)[..., None] for z in (F.softplus(delta + self.step_size), rate, current)
        )
        angles = (delta * (torch.pi * torch.tanh(turn))[:, None]).cumsum(2)
        angles = angles if angle is None else angles + angle[:, :, None]
        return delta, -delta * F.softplus(rate).clamp(min=LEAST_RATE), torch.sigmoid(current), angles

    def _split(self, x: Tensor, vectors: Tensor) -> Tensor:
        """Multiply channels ``[B, L, H * P]`` by the vectors of each head and rank: ``[B, H, L, R, P]``."""
        return x.unflatten(-1, (self.heads, 1, -1)).transpose(1, 2) * vectors[:, None]

    def _output(self, read_values: Tensor, p: Projected) -> Tensor:
        """Add the skip, apply the gates, join the ranks and project."""
        y = (read_values + self.D[:, None, None, None] * p.values) * F.silu(self._split(p.gate, self.gate_split))
        return self.out((y * self.output_join[:, None]).sum(-2).transpose(1, 2).flatten(2))


def update(
    h: Tensor, keys: Tensor, values: Tensor, k: Tensor, x: Tensor, log_decay: Tensor, delta: Tensor, current: Tensor
) -> Tensor:
    """Return the next state; ``keys`` and ``values`` ``[B, H, R, ...]`` are those of the position before."""
    decayed, delta, current = (z[..., None] for z in (log_decay.exp(), delta, current))
    last = h + (1 - current) * delta * (keys.transpose(-1, -2) @ values)
    return decayed * last + current * delta * (k.transpose(-1, -2) @ x)


def recurrent(p: Projected) -> tuple[Tensor, Tensor]:
    """Return ``h_t^T q_{t,r}`` step by step, ``[B, H, L, R, P]``, and the last state."""
    keys, values = torch.zeros_like(p.keys[:, :, 0]), torch.zeros_like(p.values[:, :, 0])
    h, out = keys.transpose(-1, -2) @ values, []
    for q, k, x, *scalars in zip(*(z.unbind(2) for z in p[:-2]), strict=True):
        h, keys, values = update(h, keys, values, k, x, *scalars), k, x
        out.append(q @ h)
    return torch.stack(out, dim=2), h


def chunked(p: Projected, chunk: int) -> tuple[Tensor, Tensor]:
    """Return the result of :func:`recurrent`, chunk by chunk; each input is written once, as in ``mamba3.py``."""
    own = next_weight(p)[..., None] * (p.queries @ p.keys.transpose(-1, -2)) @ p.values  # read too early
    keys = (p.current * p.delta + next_weight(p))[..., None] * p.keys
    pieces = (z.split(chunk, dim=2) for z in (p.queries, keys, p.values, p.log_decay))
    h, out = torch.zeros_like(p.keys[:, :, 0].transpose(-1, -2) @ p.values[:, :, 0]), []
    for q, k, v, log_decay in zip(*pieces, strict=True):
        rank, decays, since = q.shape[3], decay.between(log_decay).exp(), log_decay.cumsum(2).exp()[..., None]
        ends = k * decays[:, :, -1, :, None, None]
        q_all, k_all, v_all, ends = (z.flatten(2, 3) for z in (q, k, v, ends))  # positions and ranks
        weights = decays.repeat_interleave(rank, dim=-1).repeat_interleave(rank, dim=-2)
        within = (q_all @ k_all.transpose(-1, -2) * weights) @ v_all
        out.append(within.unflatten(2, (-1, rank)) + (q * since) @ h[:, :, None])
        h = since[:, :, -1] * h + ends.transpose(-1, -2) @ v_all
    return torch.cat(out, dim=2) - own, h
