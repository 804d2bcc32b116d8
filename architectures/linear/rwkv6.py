"""RWKV-6 (Finch): a state matrix in every head, whose rows decay at rates that depend on the token.

Peng et al. 2024, "Eagle and Finch: RWKV with Matrix-Valued States and Dynamic Recurrence", sections 4.1 and 4.2.

Glossary (paper <-> code):
    x_{t-1}             the previous token           <-> previous
    mu_x                share for the low-rank maps  <-> mix_first     [D]
    lambda              shares of the previous token <-> mix_all       [5, D], in the order of PARTS
    A, B                low-rank maps of the shares  <-> mix_down [D, 5 * rank], mix_up [5, rank, D]
    lambda_d, A_d, B_d  those of the decay           <-> decay [D], decay_down [D, 2 * rank], decay_up [2 * rank, D]
    r, k, v, g          receptance, key, value, gate <-> r, k, v  [B, H, L, E], gate [B, L, D]        E = D / H
    w_t                 decay                        <-> log_decay  [B, H, L, E], its logarithm
    u                   bonus of the current token   <-> bonus      [H, 1, E]
    s                   state                        <-> state      [B, H, E, E]

    lora(x) = lambda + tanh(x A) B
    ddlerp(x_t, x_{t-1}) = x_t + (x_{t-1} - x_t) * lora(x_t + (x_{t-1} - x_t) * mu_x)
    d_t = lora_d(ddlerp_d(x_t, x_{t-1}))        w_t = exp(-exp(d_t))
    wkv_t = s_{t-1} + diag(u) k_t^T v_t         s_t = diag(w_t) s_{t-1} + k_t^T v_t
    o_t = (silu(g_t) * GroupNorm(r_t wkv_t)) W_o

Differs from the paper: 4 heads instead of heads of 64 channels and low-rank maps of 16 and 32 channels instead of 32
and 64, for small widths. The norm after the embedding is left out.
Initialisation of decays, bonuses and shares is that of the authors' code; linear maps start as in torch.
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Context, Positive, State
from architectures.parts import rwkv
from architectures.parts.attention import head_width, split_heads
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import decay

FORMS: dict[str, decay.Form] = {
    "recurrent": decay.recurrent,
    "parallel": decay.parallel,
    "chunked": decay.chunked,
    "stepwise": decay.stepwise,
    "fla": fla.gla,
}

PROMPT_FORMS = FORMS | {"stepwise": decay.chunked}
"""Forms for a prompt, which often is one row: ``chunked`` is then far faster (``parts/scans/decay.py``)."""

PARTS = ("decay", "key", "value", "receptance", "gate")
"""The vectors that are computed from a mixture of the current and the previous token."""

STRONGEST = 20.0
"""The maximum ``d_t``: above it the decay is zero, and gradients would be zero times infinity."""


def low_rank(width: int, rank: int, parts: tuple[int, ...] = ()) -> tuple[nn.Parameter, nn.Parameter]:
    """Return the two factors of a map that starts at zero, ``[D, parts * rank]`` and ``[parts, rank, D]``."""
    up = torch.empty(*parts, rank, width).uniform_(-0.01, 0.01)
    return nn.Parameter(torch.zeros(width, rank * math.prod(parts))), nn.Parameter(up)


class RWKV6(rwkv.RWKV):
    """Time mixing and channel mixing, including the norms of RWKV's block.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        rank: inner channels of the low-rank maps of the shares; the low-rank map of the decay has twice as many.
        channel_mixing: whether channel mixing follows time mixing; false for ``block=shared``, which has a
            feed-forward.
        kernel: ``recurrent`` is the equation, ``parallel`` scores all pairs, ``chunked`` combines both;
            ``stepwise`` is the equation in place, with gradients by hand, on a CPU; ``fla`` is a Triton kernel of
            flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, ``chunked`` on other GPUs, and
            on a CPU the faster of ``stepwise`` and ``chunked`` by the size of the state (``parts/scans/decay.py``).
    """

    no_weight_decay = ("bonus", "mix_all")

    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        rank: Positive = 16,
        channel_mixing: bool = True,
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "stepwise", "fla"] = "auto",
    ) -> None:
        super().__init__(width, expand=3.5, channel_mixing=channel_mixing)
        self.heads, head_channels = heads, head_width(width, heads)
        self.choice = choose(kernel, fla.KERNEL, cpu=decay.cpu_form(head_channels**2), cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.mix_first, self.mix_all = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(len(PARTS), width))
        self.mix_down, self.mix_up = low_rank(width, rank, (len(PARTS),))
        self.decay, self.bonus = nn.Parameter(torch.empty(width)), nn.Parameter(torch.empty(heads, 1, head_channels))
        self.decay_down, self.decay_up = low_rank(width, 2 * rank)
        self.key, self.value, self.receptance, self.gate, self.out = (
            nn.Linear(width, width, bias=False) for _ in range(5)
        )
        self.norm = rwkv.HeadNorm(heads, width)
        self.initialize(0, 1)

    @torch.no_grad()
    def initialize(self, layer: int, depth: int) -> None:
        """Initialise decays, bonuses and shares along the channels, depending on the layer."""
        deep, shallow = layer / max(depth - 1, 1), 1 - layer / depth
        width = self.decay.shape[0]
        share, spread = rwkv.share(width), rwkv.spread(width)
        even, steep = share**shallow, share ** (0.5 * shallow)
        self.mix_first.copy_(1 - even)
        self.mix_all.copy_(1 - torch.stack((even, even, even + 0.3 * deep, steep, steep)))
        self.decay.copy_(-6 + 5 * spread ** (0.7 + 1.3 * deep))
        self.bonus.copy_((deep * (1 - spread) + 0.1 * rwkv.zigzag(width)).view_as(self.bonus))
        self.initialize_channel_mixing(even)

    def mix(self, x: Tensor, previous: Tensor, context: Context) -> Tensor:
        """Apply time mixing to all positions."""
        return self._mix(x, previous, FORMS)[0]

    def mix_prefill(self, x: Tensor, previous: Tensor, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to all positions, and return the state after them."""
        out, updates = self._mix(x, previous, PROMPT_FORMS)
        return out, decay.final_state(*updates)

    def mix_start(self, rows: int, like: Tensor) -> State:
        """Return zeros ``[B, H, E, E]``."""
        head_channels = self.bonus.shape[-1]
        return like.new_zeros(rows, self.heads, head_channels, head_channels)

    def mix_step(self, x: Tensor, previous: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to one position."""
        *heads, gate = self._project(x[:, None], previous[:, None])
        r, k, v, log_decay = (z[..., 0, :] for z in heads)
        read_values = decay.read(state, r) + decay.present(r, k, v, self.bonus[:, 0])
        return self._output(read_values[..., None, :], gate)[:, 0], decay.update(state, k, v, log_decay)

    def _mix(
        self, x: Tensor, previous: Tensor, forms: dict[str, decay.Form]
    ) -> tuple[Tensor, tuple[Tensor, Tensor, Tensor]]:
        """Return the outputs, and (k, v, log_decay) that update the state."""
        r, k, v, log_decay, gate = self._project(x, previous)
        read_values = decay.with_bonus(forms[form_for(self, x)], r, k, v, log_decay, self.bonus)
        return self._output(read_values, gate), (k, v, log_decay)

    def _project(self, x: Tensor, previous: Tensor) -> tuple[Tensor, ...]:
        """Return (r, k, v, log_decay) ``[B, H, L, E]`` and the gate ``[B, L, D]``."""
        for_decay, for_k, for_v, for_r, for_gate = self._shift(x, previous)
        d = self.decay + torch.tanh(for_decay @ self.decay_down) @ self.decay_up
        flat = (self.receptance(for_r), self.key(for_k), self.value(for_v), -torch.exp(d.clamp(max=STRONGEST)))
        return *(split_heads(z, self.heads) for z in flat), F.silu(self.gate(for_gate))

    def _shift(self, x: Tensor, previous: Tensor) -> tuple[Tensor, ...]:
        """Mix every position with the previous one, with different shares for each of PARTS: ``[B, L, D]`` each."""
        difference = previous - x
        low = torch.tanh((x + difference * self.mix_first) @ self.mix_down).unflatten(-1, (len(PARTS), -1))
        share = self.mix_all + torch.einsum("...pr,prd->...pd", low, self.mix_up)  # [B, L, 5, D]
        return (x[..., None, :] + difference[..., None, :] * share).unbind(-2)

    def _output(self, read_values: Tensor, gate: Tensor) -> Tensor:
        """Apply the norm of each head, gate and output projection."""
        return self.out(self.norm(read_values) * gate)
