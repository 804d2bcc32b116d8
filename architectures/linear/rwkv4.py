"""RWKV-4: a gated weighted mean of all previous values, whose weights decay at one rate for each channel.

Peng et al. 2023, "RWKV: Reinventing RNNs for the Transformer Era", section 3.1; the stable recurrence and the
initial values are from its appendices.

Glossary (paper <-> code):
    mu            share of the current token     <-> mix_key, mix_value, mix_receptance  [D]
    r, k, v       receptance, keys, values       <-> r, k, v   [B, L, D]
    w             decay rate, exp(decay)         <-> w         [D]
    u             bonus of the current token     <-> u         [D]
    a', b', p     numerator, denominator, and    <-> numerator, denominator, peak  [B, D]
                  the exponent that scales them
    W_r, W_k, W_v, W_o                           <-> receptance, key, value, out

    wkv_t = (sum_{i<t} e^(-(t-1-i)w + k_i) v_i + e^(u+k_t) v_t) / (the same without v)
    o_t = W_o (sigmoid(r_t) * wkv_t)

Keys are exponents. To avoid overflow, sums are stored divided by ``exp(peak)``, where the *peak* is near the largest
exponent.

Differs from the paper: the norm after the embedding is left out; linear maps start as in torch, not at zero.
"""

import math
from collections.abc import Callable
from functools import partial
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Context, State
from architectures.parts import rwkv
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.kernels import fla
from architectures.parts.scans import diagonal


def recurrent(k: Tensor, v: Tensor, w: Tensor, u: Tensor) -> Tensor:
    """Run the recurrence of the paper's appendix step by step: ``[B, L, D]``."""
    state, out = start(k[:, 0]), []
    for k_t, v_t in zip(k.unbind(1), v.unbind(1), strict=True):
        out.append(read(state, k_t, v_t, u))
        state = update(state, k_t, v_t, w)
    return torch.stack(out, dim=1)


def start(like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the empty state: sums of zero and a peak of minus infinity."""
    return torch.zeros_like(like), torch.zeros_like(like), torch.full_like(like, -torch.inf)


def read(state: tuple[Tensor, Tensor, Tensor], k: Tensor, v: Tensor, u: Tensor) -> Tensor:
    """Return the weighted mean of the previous values and the current one."""
    numerator, denominator, peak = state
    top = torch.maximum(peak, u + k).detach()  # any number would do: it cancels
    past, present = torch.exp(peak - top), torch.exp(u + k - top)
    return (past * numerator + present * v) / (past * denominator + present)


def update(state: tuple[Tensor, Tensor, Tensor], k: Tensor, v: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Decay the sums and add one position."""
    numerator, denominator, peak = state
    top = torch.maximum(peak - w, k).detach()
    past, present = torch.exp(peak - w - top), torch.exp(k - top)
    return past * numerator + present * v, past * denominator + present, top


def final_state(k: Tensor, v: Tensor, w: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the state after the last position of ``[B, L, D]``; the peak is the largest exponent."""
    exponents = k - torch.arange(k.shape[1] - 1, -1, -1, dtype=k.dtype, device=k.device)[:, None] * w
    peak = exponents.amax(1)
    weights = torch.exp(exponents - peak[:, None])
    return (weights * v).sum(1), weights.sum(1), peak


def scan(k: Tensor, v: Tensor, w: Tensor, u: Tensor, form: str = "scan") -> Tensor:
    """Compute all peaks first; numerator and denominator are then recurrences with token-dependent decays.

    The largest exponent at ``t`` is ``max_i (k_i + i w) - t w``. Peaks are rounded to integers, so that they are exact
    although ``t w`` is rounded.
    """
    time = torch.arange(k.shape[1], dtype=k.dtype, device=k.device)[:, None] * w
    peak = ((k + time).cummax(1).values - time).round().detach()
    previous = torch.cat((peak[:, :1], peak[:, :-1]), dim=1)
    weight = torch.exp(k - peak)
    inputs = torch.stack((weight * v, weight), dim=2)  # [B, L, 2, D]
    states = SCANS[form]((previous - peak - w)[:, :, None], inputs)
    numerator, denominator = F.pad(states[:, :-1], (0, 0, 0, 0, 1, 0)).unbind(2)
    return read((numerator, denominator, previous), k, v, u)


def fla_scan(log_decay: Tensor, inputs: Tensor) -> Tensor:
    """Run the scan with the package, which takes one axis of channels."""
    return fla.diagonal(log_decay.expand_as(inputs).flatten(2), inputs.flatten(2)).unflatten(2, inputs.shape[2:])


SCANS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "scan": lambda log_decay, inputs: diagonal.loop(log_decay.exp(), inputs),
    "chunked": lambda log_decay, inputs: diagonal.chunked(log_decay.exp(), inputs),
    "fla": fla_scan,
}

FORMS = {"recurrent": recurrent} | {form: partial(scan, form=form) for form in SCANS}


STRONGEST = 8.0
"""The maximum logarithm of a decay rate: the decay of one step is then ``exp(-exp(8))``, zero in any precision."""


class RWKV4(rwkv.RWKV):
    """Time mixing and channel mixing, including the norms of RWKV's block.

    Args:
        width: channels ``D``.
        channel_mixing: whether channel mixing follows time mixing; false for ``block=shared``, which has a
            feed-forward.
        kernel: ``recurrent`` is the recurrence of the appendix; ``scan`` computes all peaks first; ``chunked`` does
            too, and scans chunks in parallel; ``fla`` does too, and scans with a Triton kernel of
            flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is installed, ``chunked`` on other GPUs, and
            ``scan`` on a CPU (on one core, a training step of two layers at batch 64 and length 20: 26 ms against 30
            for ``recurrent``).
    """

    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        channel_mixing: bool = True,
        kernel: Literal["auto", "recurrent", "scan", "chunked", "fla"] = "auto",
    ) -> None:
        super().__init__(width, expand=4.0, channel_mixing=channel_mixing)
        self.choice = choose(kernel, fla.KERNEL, cpu="scan", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.mix_key, self.mix_value, self.mix_receptance = (nn.Parameter(torch.empty(width)) for _ in range(3))
        self.decay, self.bonus = (nn.Parameter(torch.empty(width)) for _ in range(2))
        self.key, self.value, self.receptance, self.out = (nn.Linear(width, width, bias=False) for _ in range(4))
        self.initialize(0, 1)

    @torch.no_grad()
    def initialize(self, layer: int, depth: int) -> None:
        """Initialise decays, bonuses and shares along the channels (appendix), depending on the layer."""
        deep, shallow = layer / max(depth - 1, 1), 1 - layer / depth
        width = self.decay.shape[0]
        share = rwkv.share(width)
        self.mix_key.copy_(share**shallow)
        self.mix_value.copy_(share**shallow + 0.3 * deep)
        self.mix_receptance.copy_(share ** (0.5 * shallow))
        self.decay.copy_(-5 + 8 * rwkv.spread(width) ** (0.7 + 1.3 * deep))
        self.bonus.copy_(math.log(0.3) + 0.5 * rwkv.zigzag(width))
        self.initialize_channel_mixing(share**shallow)

    def rate(self) -> Tensor:
        """Return ``w`` ``[D]``, limited so that ``t w`` does not lose the digits of a key."""
        return self.decay.clamp(max=STRONGEST).exp()

    def mix(self, x: Tensor, previous: Tensor, context: Context) -> Tensor:
        """Apply time mixing to all positions."""
        return self._mix(x, previous)[0]

    def mix_prefill(self, x: Tensor, previous: Tensor, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to all positions, and sum them up with the largest exponent as the peak."""
        out, k, v = self._mix(x, previous)
        return out, final_state(k, v, self.rate())

    def mix_start(self, rows: int, like: Tensor) -> State:
        """Return the empty (numerator, denominator, peak)."""
        return start(like.new_zeros(rows, self.decay.shape[0], dtype=wide(like)))

    def mix_step(self, x: Tensor, previous: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply time mixing to one position."""
        r, k, v = self._project(x, previous)
        mean = read(state, k, v, self.bonus)
        return self.out(r * mean.to(r.dtype)), update(state, k, v, self.rate())

    def _mix(self, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return the outputs, keys and values."""
        r, k, v = self._project(x, previous)
        mean = FORMS[form_for(self, x)](k, v, self.rate(), self.bonus)
        return self.out(r * mean.to(r.dtype)), k, v

    def _project(self, x: Tensor, previous: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        r = self.receptance(torch.lerp(previous, x, self.mix_receptance))
        k, v = self.key(torch.lerp(previous, x, self.mix_key)), self.value(torch.lerp(previous, x, self.mix_value))
        return torch.sigmoid(r), k.to(wide(x)), v.to(wide(x))


def wide(x: Tensor) -> torch.dtype:
    """Return at least float32, as in the authors' kernel, because bfloat16 has too few digits for an exponent."""
    return torch.promote_types(x.dtype, torch.float32)
