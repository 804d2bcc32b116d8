"""RWKV-7 (Goose): a state matrix that every token decays, corrects and adds to, with separate rates for each channel.

Peng et al. 2025, "RWKV-7 'Goose' with Expressive Dynamic State Evolution", section 4.

Glossary (paper <-> code):
    mu               share of the previous token    <-> mix_all     [6, D], in the order of PARTS
    loramlp          low-rank map                   <-> LowRank     two factors through ``rank`` channels, and a bias
    r, k, v, g       receptance, key, value, gate   <-> r, k, v     [B, H, L, E], gate [B, L, D]       E = D / H
    w_t              decay                          <-> log_decay   [B, H, L, E], its logarithm
    a_t              in-context learning rate       <-> rate        [B, H, L, E]
    kappa, xi        removal key, its multiplier    <-> removal     [B, H, L, E], of norm one; removal_scale [D]
    k~, alpha        replacement key, its booster   <-> k after scaling; key_boost [D]
    nu_t             value residual gate            <-> residual
    rho              weight of the bonus            <-> bonus       [H, 1, E]
    wkv_t            state, transposed              <-> state       [B, H, E, E]

    log w_t = -exp(-1/2) sigmoid(d_t)        k~ = k * (1 + (a - 1) * alpha)        kappa = k * xi, normalised
    v_t = v_t + (v_t of the first layer - v_t) * nu_t                       in all layers but the first
    wkv_t = (diag(w_t) - (a_t * kappa_t) kappa_t^T) wkv_{t-1} + k~_t v_t^T
    o_t = W_o (g_t * (GroupNorm(wkv_t^T r_t) + (r_t . rho . k~_t) v_t))

Channel mixing (``parts/rwkv.py``) has no gate.

Differs from the paper: 4 heads instead of heads of 64 channels, and low-rank maps of 16 and 32 channels, for small
widths. The norm after the embedding is left out. ``nu`` is the share of the first layer, as in the authors' code; in
the paper it is the share of the layer itself. Initialisation is that of the authors' code, except that the two maps
back to the residual stream start like torch's linear maps, not at zero.
"""

import math
from collections.abc import Callable
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Context, Positive, State
from architectures.parts import rwkv
from architectures.parts.attention import head_width, merge_heads, split_heads
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import dplr
from architectures.parts.scans.final_state import with_state

FORMS: dict[str, Callable[..., Tensor]] = {
    "recurrent": dplr.recurrent,
    "chunked": dplr.chunked,
    "stepwise": dplr.stepwise,
    "fla": fla.dplr,
}

PARTS = {"receptance": 0.2, "decay": 0.9, "key": 0.7, "value": 0.7, "rate": 0.9, "gate": 0.2}
"""The vectors computed from token mixtures, and the exponent of the initial share along the channels."""

FIRST_VALUE = "value of the first RWKV-7 layer"


class LowRank(nn.Module):
    """The map ``f(x A) B``; ``A`` starts at zero and ``B`` orthogonal, so that the map starts constant."""

    def __init__(self, width: int, rank: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.function = function
        self.down = nn.Parameter(torch.zeros(width, rank))
        self.up = nn.Parameter(nn.init.orthogonal_(torch.empty(rank, width), gain=0.1 * max(1, rank / width) ** 0.5))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., D]``."""
        return self.function(x @ self.down) @ self.up


class Biased(LowRank):
    """The map ``bias + f(x A) B``."""

    def __init__(self, width: int, rank: int, function: Callable[[Tensor], Tensor]) -> None:
        super().__init__(width, rank, function)
        self.bias = nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[..., D]`` to ``[..., D]``."""
        return self.bias + super().forward(x)


def identity(x: Tensor) -> Tensor:
    """Return ``x`` unchanged."""
    return x


class RWKV7(rwkv.RWKV):
    """Time mixing and channel mixing, including the norms of RWKV's block.

    Args:
        width: channels ``D``, a multiple of the heads.
        heads: number of heads ``H``.
        rank: inner channels of the low-rank maps; the map of the gate has twice as many.
        channel_mixing: whether channel mixing follows time mixing; false for ``block=shared``, which has a
            feed-forward.
        kernel: ``recurrent`` is the equation, step by step; ``chunked`` solves a triangular system in each chunk of 16
            positions; ``stepwise`` is the equation in place, with gradients by hand, on a CPU; ``fla`` is the Triton
            kernel of flash-linear-attention, for float16 and bfloat16. ``auto`` takes ``fla`` on a GPU if it is
            installed and supports the dtype, ``chunked`` on a GPU otherwise, and ``stepwise`` on a CPU (a scan of 4
            heads of 16 channels, batch 64, one core: 14 ms against 60 for ``recurrent`` and 69 for ``chunked`` at
            length 41, 32 against 125 and 138 at 81).
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
        kernel: Literal["auto", "recurrent", "chunked", "stepwise", "fla"] = "auto",
    ) -> None:
        super().__init__(width, expand=4.0, channel_mixing=channel_mixing, gated=False)
        self.heads, self.rank, head_channels = heads, rank, head_width(width, heads)
        self.kernel, self.choice = kernel, choose(kernel, fla.KERNEL, cpu="stepwise", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.mix_all = nn.Parameter(torch.empty(len(PARTS), width))
        self.receptance, self.key, self.value, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.decay, self.rate = Biased(width, rank, torch.tanh), Biased(width, rank, identity)
        self.gate = LowRank(width, 2 * rank, torch.sigmoid)
        self.residual: Biased | None = None
        self.removal_scale, self.key_boost = (nn.Parameter(torch.empty(width)) for _ in range(2))
        self.bonus = nn.Parameter(torch.empty(heads, 1, head_channels))
        self.norm = rwkv.HeadNorm(heads, width)
        self.initialize(0, 1)

    @torch.no_grad()
    def initialize(self, layer: int, depth: int) -> None:
        """Initialise decays, rates and shares along the channels; all layers but the first get a value residual."""
        deep, shallow = layer / max(depth - 1, 1), 1 - layer / depth
        width, head_channels = self.key_boost.shape[0], self.bonus.shape[-1]
        share, spread, zigzag = rwkv.share(width), rwkv.spread(width), signed_square(head_channels).repeat(self.heads)
        self.mix_all.copy_(torch.stack([1 - share ** (steepness * shallow) for steepness in PARTS.values()]))
        self.decay.bias.copy_(-5.5 + 6 * spread ** (1 + deep**0.3) + 2.5 * zigzag)
        self.rate.bias.copy_(-0.19 + 0.3 * zigzag + 0.4 * (spread - 0.5))
        self.removal_scale.copy_(0.71 - 0.1 * (spread - 0.5))
        self.key_boost.fill_(1.02)
        self.bonus.fill_(-0.04)
        self.norm.weight.fill_(((layer + 1) / depth) ** 0.7)
        for linear, bound in ((self.receptance, 0.5), (self.key, 0.05), (self.value, 0.5)):
            nn.init.uniform_(linear.weight, -bound * width**-0.5, bound * width**-0.5)
        if layer:
            self.residual = Biased(width, self.rank, identity)
            self.residual.bias.copy_(0.73 - 0.4 * (spread - 0.5))
        self.initialize_channel_mixing(share ** (shallow**4))
        if self.channel is not None:
            nn.init.uniform_(self.channel.key.weight, -0.5 * width**-0.5, 0.5 * width**-0.5)

    def mix(self, x: Tensor, previous: Tensor, context: Context) -> Tensor:
        """Apply time mixing to all positions."""
        *heads, gate = self._project(x, previous, context)
        return self._output(FORMS[self._form(heads[0])](*heads), *heads, gate)

    def mix_prefill(self, x: Tensor, previous: Tensor, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to all positions, and return the state after them."""
        *heads, gate = self._project(x, previous, context)
        read_values, state = with_state(FORMS[self._form(heads[0])], *heads)
        return self._output(read_values, *heads, gate), state

    def mix_start(self, rows: int, like: Tensor) -> State:
        """Return zeros ``[B, H, E, E]``."""
        head_channels = self.bonus.shape[-1]
        return like.new_zeros(rows, self.heads, head_channels, head_channels)

    def mix_step(self, x: Tensor, previous: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to one position."""
        *heads, gate = self._project(x[:, None], previous[:, None], context)
        r, *update = (z[..., 0, :] for z in heads)
        state = dplr.update(state, *update)
        return self._output(dplr.read(state, r)[..., None, :], *heads, gate)[:, 0], state

    def _form(self, r: Tensor) -> str:
        """Return the form to use for these arguments; ``ValueError`` if a named form does not support them."""
        form, reason = form_for(self, r), fla.dplr_cannot(r)
        if form != "fla" or reason is None:
            return form
        if self.kernel == "fla":
            raise ValueError(f"kernel=fla {reason}; use auto or chunked")
        self.kernel_in_use = "chunked"
        return self.kernel_in_use

    def _project(self, x: Tensor, previous: Tensor, context: Context) -> tuple[Tensor, ...]:
        """Return (r, k~, v, -kappa, a * kappa, log w) ``[B, H, L, E]`` and the gate ``[B, L, D]``."""
        mixed = (torch.lerp(x, previous, share) for share in self.mix_all.unbind(0))
        for_r, for_decay, for_k, for_v, for_rate, for_gate = mixed
        r, k, v = self.receptance(for_r), self.key(for_k), self._with_first(self.value(for_v), for_v, context)
        rate, log_decay = torch.sigmoid(self.rate(for_rate)), -math.exp(-0.5) * torch.sigmoid(self.decay(for_decay))
        replaced = k * (1 + (rate - 1) * self.key_boost)
        removal, *flat = (split_heads(z, self.heads) for z in (k * self.removal_scale, r, replaced, v, rate, log_decay))
        r, k, v, rate, log_decay = flat
        removal = F.normalize(removal, dim=-1)
        return r, k, v, -removal, rate * removal, log_decay, self.gate(for_gate)

    def _with_first(self, v: Tensor, x: Tensor, context: Context) -> Tensor:
        """Interpolate values towards those of the first layer, which stores its values in the context."""
        first = context.shared.setdefault(FIRST_VALUE, v)
        return v if self.residual is None else torch.lerp(v, first, torch.sigmoid(self.residual(x)).to(v.dtype))

    def _output(self, read_values: Tensor, *projections: Tensor) -> Tensor:
        """Apply the norm of each head, bonus of the current token, gate and output projection."""
        r, k, v, *_, gate = projections
        present = (r * self.bonus * k).sum(-1, keepdim=True) * v
        return self.out((self.norm(read_values) + merge_heads(present)) * gate)


def signed_square(width: int) -> Tensor:
    """Return ``x |x|`` for ``x`` from -1 to 1 along the channels of a head."""
    line = torch.linspace(-1, 1, width)
    return line * line.abs()
