"""Mamba-3: a state space model whose state rotates, with inputs weighted by a trapezoid.

Lahoti et al. 2026, "Mamba-3" (arXiv 2603.15569). It differs from Mamba-2 in three ways. The state turns by an angle
that depends on the token, so that one layer can track a state that comes back to itself, as parity does. Each step adds
the last input too. Keys and queries are normed and have a bias, and there is no short convolution.

Glossary (paper <-> code):
    x, z        the two branches of the block   <-> x [B, L, H, P], gate [B, L, H * P]        H * P = expand * D
    Delta       step size                       <-> delta        [B, L, H]
    A           decay rate, negative            <-> rate         [B, L, H], from the token
    lambda      weight of the current input     <-> current      [B, L, H], in (0, 1)
    B, C        input and output vectors        <-> keys, queries [B, L, H, N], normed, with a bias for each head
    theta       turning rate, in (-pi, pi)      <-> turn         [B, L, K], shared by heads
    phi         angle so far                    <-> angle        [B, L, H, K]
    h           state                           <-> state        [B, H, N, P]
    D           skip                            <-> D            [H]

    phi_t = phi_{t-1} + Delta_t theta_t        k_t = Rot(phi_t) B_t        q_t = Rot(phi_t) C_t
    h_t = a_t h_{t-1} + (1 - lambda_t) Delta_t a_t k_{t-1} x_{t-1}^T + lambda_t Delta_t k_t x_t^T
    a_t = exp(Delta_t A_t)
    y_t = h_t^T q_t + D x_t,  then y_t * silu(z_t) and the output map

A pair (2i, 2i + 1) of the first ``2 K`` channels turns by the angle i; the other channels do not turn. The input of
step t is written at step t and again, decayed, at step t + 1. So the parallel forms use one scan of ``scans/decay.py``
with the weight ``lambda_t Delta_t + (1 - lambda_{t+1}) Delta_{t+1}``, and take off the part of the diagonal that
belongs to the next step.

Differs from the paper: one input and one output for each head (SISO, not MIMO), 4 heads instead of heads of 64
channels, and 32 states. Step sizes start log-uniform in [0.001, 0.1] as there, so a model has to learn a turn by half a
circle in one step.
"""

import math
from typing import ClassVar, Literal, NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.attention import head_width
from architectures.parts.scans import decay
from architectures.parts.scans.final_state import with_state
from architectures.parts.ssm_init import inverse_softplus, log_uniform

LEAST_RATE = 1e-4


class Projected(NamedTuple):
    """What a layer computes from its input: all ``[B, H, L, ...]`` but the gate ``[B, L, H * P]``."""

    queries: Tensor
    keys: Tensor
    values: Tensor
    log_decay: Tensor
    delta: Tensor
    current: Tensor
    angle: Tensor
    gate: Tensor


class Mamba3(Mixer):
    """One Mamba-3 layer. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        state: states ``N`` of every channel, a multiple of 4; half of them turn.
        heads: number of heads ``H``, a divisor of ``expand * width``.
        expand: ratio of inner to outer channels.
        kernel: ``recurrent`` is the equation, step by step, ``parallel`` scores all pairs, ``chunked`` combines both.
            ``auto`` is ``chunked``.
    """

    native: ClassVar[Block] = Block(norm="rms", feed_forward="swiglu")
    reference: ClassVar[str] = "recurrent"
    no_weight_decay = ("D", "step_size", "key_bias", "query_bias")

    def __init__(
        self,
        width: int,
        *,
        state: Positive = 32,
        heads: Positive = 4,
        expand: Positive = 2,
        kernel: Literal["auto", "recurrent", "parallel", "chunked"] = "auto",
    ) -> None:
        super().__init__()
        inner = expand * width
        head_width(inner, heads)
        if state % 4:
            nearest = max(4, 4 * round(state / 4))
            raise ValueError(f"state={state} must be a multiple of 4, because half of it turns in pairs; use {nearest}")
        self.heads, self.turning, self.kernel_in_use = heads, state // 4, "chunked" if kernel == "auto" else kernel
        self.parts = [inner, inner, state, state, heads, heads, heads, self.turning]
        self.into = nn.Linear(width, sum(self.parts), bias=False)
        self.step_size = nn.Parameter(inverse_softplus(log_uniform(heads)))
        self.key_norm, self.query_norm = nn.RMSNorm(state, eps=1e-5), nn.RMSNorm(state, eps=1e-5)
        self.key_bias, self.query_bias = (nn.Parameter(torch.ones(heads, state)) for _ in range(2))
        self.D = nn.Parameter(torch.ones(heads))
        self.out = nn.Linear(inner, width, bias=False)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        p = self._project(x)
        if self.kernel_in_use == "recurrent":
            return self._output(recurrent(p), p)
        return self._output(self._form()(*scan_inputs(p)) - next_part(p), p)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        p = self._project(x)
        read_values, h = with_state(self._form(), *scan_inputs(p))
        state = p.angle[:, :, -1], h, p.keys[:, :, -1], p.values[:, :, -1]
        return self._output(read_values - next_part(p), p), state

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the angle ``[B, H, K]``, the state ``[B, H, N, P]``, the last key and the last value."""
        states, channels = self.key_bias.shape[1], self.parts[0] // self.heads
        sizes = ((self.turning,), (states, channels), (states,), (channels,))
        return tuple(like.new_zeros(rows, self.heads, *size) for size in sizes)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        angle, h, key, value = state
        p = self._project(x[:, None], angle)
        h = update(h, key, value, *(z[:, :, 0] for z in (p.keys, p.values, p.log_decay, p.delta, p.current)))
        out = self._output(decay.read(h, p.queries[:, :, 0])[:, :, None], p)
        return out[:, 0], (p.angle[:, :, 0], h, p.keys[:, :, 0], p.values[:, :, 0])

    def _form(self) -> decay.Form:
        return decay.parallel if self.kernel_in_use == "parallel" else decay.chunked

    def _project(self, x: Tensor, angle: Tensor | None = None) -> Projected:
        """Project ``[B, L, D]``; ``angle`` is the one before the first position, 0 by default."""
        gate, x, B, C, delta, rate, current, turn = self.into(x).split(self.parts, dim=-1)
        delta = F.softplus(delta + self.step_size).transpose(1, 2)[..., None]  # [B, H, L, 1]
        rate, current = (z.transpose(1, 2)[..., None] for z in (rate, current))
        angles = (delta * (math.pi * torch.tanh(turn))[:, None]).cumsum(2)  # [B, H, L, K]
        angles = angles if angle is None else angles + angle[:, :, None]
        keys = self.key_norm(B)[:, None] + self.key_bias[:, None]
        queries = self.query_norm(C)[:, None] + self.query_bias[:, None]
        values = x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
        log_decay = -delta * F.softplus(rate).clamp(min=LEAST_RATE)
        keys, queries = rotate(keys, angles), rotate(queries, angles)
        return Projected(queries, keys, values, log_decay, delta, torch.sigmoid(current), angles, gate)

    def _output(self, read_values: Tensor, p: Projected) -> Tensor:
        """Add the skip, then apply gate and output map."""
        y = (read_values + self.D[:, None, None] * p.values).transpose(1, 2).flatten(2)
        return self.out(y * F.silu(p.gate))


def rotate(x: Tensor, angles: Tensor) -> Tensor:
    """Turn the pairs of the first ``2 K`` channels of ``[..., N]`` by angles ``[..., K]``."""
    pairs, rest = x[..., : 2 * angles.shape[-1]].unflatten(-1, (-1, 2)), x[..., 2 * angles.shape[-1] :]
    first, second = pairs.unbind(-1)
    cos, sin = angles.cos(), angles.sin()
    turned = torch.stack((first * cos - second * sin, first * sin + second * cos), dim=-1).flatten(-2)
    return torch.cat((turned, rest.expand(*turned.shape[:-1], -1)), dim=-1)


def update(
    h: Tensor, key: Tensor, value: Tensor, k: Tensor, x: Tensor, log_decay: Tensor, delta: Tensor, current: Tensor
) -> Tensor:
    """Return the next state; ``key`` and ``value`` are those of the position before."""
    last = ((1 - current) * delta * log_decay.exp() * key)[..., None] * value[..., None, :]
    return log_decay.exp()[..., None] * h + last + (current * delta * k)[..., None] * x[..., None, :]


def recurrent(p: Projected) -> Tensor:
    """Return ``h_t^T q_t`` step by step, ``[B, H, L, P]``."""
    h, out = p.keys.new_zeros(*p.keys.shape[:2], p.keys.shape[-1], p.values.shape[-1]), []
    key, value = torch.zeros_like(p.keys[:, :, 0]), torch.zeros_like(p.values[:, :, 0])
    steps = zip(*(z.unbind(2) for z in p[:-2]), strict=True)
    for q, k, x, log_decay, delta, current in steps:
        h = update(h, key, value, k, x, log_decay, delta, current)
        key, value = k, x
        out.append(decay.read(h, q))
    return torch.stack(out, dim=2)


def next_weight(p: Projected) -> Tensor:
    """Return the weight with which the next step writes each input again, 0 at the last: ``[B, H, L, 1]``."""
    return F.pad(((1 - p.current) * p.delta)[:, :, 1:], (0, 0, 0, 1))


def scan_inputs(p: Projected) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the arguments of a form of ``scans/decay.py``, in which each input is written once."""
    return p.queries, (p.current * p.delta + next_weight(p)) * p.keys, p.values, p.log_decay


def next_part(p: Projected) -> Tensor:
    """Return what the scan reads too early: the part of a position's own input that the next step writes."""
    return next_weight(p) * (p.queries * p.keys).sum(-1, keepdim=True) * p.values
