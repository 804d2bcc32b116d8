"""Hyena: alternating gates and long convolutions, with filters that a small network computes as functions of time.

Poli et al. 2023, "Hyena Hierarchy: Towards Larger Convolutional Language Models", section 3.

Glossary (paper <-> code):
    v, x^1 .. x^N   projections, after a short convolution   <-> z, gates       [B, L, D] each
    h^1 .. h^N      filters                                  <-> filters(L)     [L, N, D]
    z^n             input of stage n                         <-> z              [B, L, D]
    PositionalEncoding, FFN, Window (equation 7)             <-> Filters

    z^1 = v,    z^{n+1}_t = x^n_t * (h^n * z^n)_t  for n = 1 .. N,    y = z^{N+1}                  (definition 3.1)
    h_t = Window(t) * FFN(PositionalEncoding(t)),    Window(t) = exp(-alpha t)

As in the authors' code, each convolution has a skip, ``+ bias z^n``; the network has sines with learned frequencies;
and ``alpha`` falls from channel to channel, so that filters reach 1/100 after 0.3 to 1.5 units of time.

Differs from the paper: there time runs from 0 to 1 over a sequence of any length, so that a filter changes with the
length. Here one unit is ``span`` positions at every length, because the outputs for a prefix would otherwise change
with the tokens after it. The state of a step is the whole past, because every filter reads it, so the state grows with
the length. Differs from the authors' code: there the first gate is applied to ``v`` without a convolution, so that
order ``N`` has ``N - 1`` long convolutions. Here it has ``N``, as in definition 3.1.
"""

import math
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from architectures.base import Context, Mixer, Positive, State
from architectures.parts import long_convolution
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.short_convolution import ShortConvolution

FORMS = {"direct": long_convolution.direct, "fft": long_convolution.fft}
FASTEST, SLOWEST, TARGET = 0.3, 1.5, 0.01
"""Units of time after which the window has decayed to ``TARGET``, in the first and in the last channel."""


class Sine(nn.Module):
    """``sin(w x)`` with a learned frequency ``w`` for every channel."""

    def __init__(self, width: int, frequency: float = 10.0) -> None:
        super().__init__()
        self.frequency = nn.Parameter(torch.full((width,), frequency))

    def forward(self, x: Tensor) -> Tensor:
        """Apply the function; the shape does not change."""
        return torch.sin(self.frequency * x)


class Filters(nn.Module):
    """Implicit filters: ``count`` functions of time for each of ``width`` channels.

    Args:
        width: channels ``D``.
        count: filters ``N``.
        span: positions in one unit of time.
        bands: frequencies of the position encoding, 0 to ``bands - 1`` periods in a unit of time.
        hidden: channels of the network.
    """

    def __init__(self, width: int, count: int, span: int, bands: int, hidden: int) -> None:
        super().__init__()
        self.width, self.count, self.span, self.bands = width, count, span, bands
        self.sines = nn.ModuleList(Sine(hidden) for _ in range(3))
        self.linears = nn.ModuleList(nn.Linear(size, hidden) for size in (1 + 2 * bands, hidden, hidden))
        self.out = nn.Linear(hidden, count * width, bias=False)

    def forward(self, length: int) -> Tensor:
        """Return the first ``length`` entries of all filters, ``[L, N, D]``."""
        weight = self.out.weight
        time = torch.arange(length, dtype=weight.dtype, device=weight.device)[:, None] / self.span
        h = self._encode(time)
        for linear, sine in zip(self.linears, self.sines, strict=True):
            h = sine(linear(h))
        return self.out(h).unflatten(-1, (self.count, self.width)) * self._window(time)[:, None]

    def _encode(self, time: Tensor) -> Tensor:
        """Return time and the cosines and sines of its multiples, ``[L, 1 + 2 bands]``."""
        angle = 2 * math.pi * time * torch.arange(self.bands, dtype=time.dtype, device=time.device)
        return torch.cat((time, angle.cos(), -angle.sin()), dim=-1)

    def _window(self, time: Tensor) -> Tensor:
        fast, slow = (-math.log(TARGET) / units for units in (FASTEST, SLOWEST))
        return torch.exp(-torch.linspace(fast, slow, self.width, dtype=time.dtype, device=time.device) * time)


class Hyena(Mixer):
    """One Hyena operator. The block of the paper is a Transformer's, pre-norm with a GELU feed-forward.

    Args:
        width: channels ``D``.
        order: number of gates and long convolutions, ``N``.
        conv: number of positions that the short convolution of the projections mixes.
        span: positions in one unit of a filter's time; filters decay over 0.3 to 1.5 units.
        bands: frequencies in the encoding of a filter's time.
        hidden: channels of the network that computes the filters.
        kernel: ``direct`` is the sum over the past; ``fft`` multiplies spectra. ``auto`` takes ``fft``.
    """

    reference: ClassVar[str] = "direct"

    def __init__(
        self,
        width: int,
        *,
        order: Positive = 2,
        conv: Positive = 3,
        span: Positive = 64,
        bands: Positive = 2,
        hidden: Positive = 64,
        kernel: Literal["auto", "direct", "fft"] = "auto",
    ) -> None:
        super().__init__()
        self.choice = choose(kernel, cpu="fft", cuda="fft")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.order = order
        self.into = nn.Linear(width, (order + 1) * width)
        self.convolution = ShortConvolution((order + 1) * width, conv)
        self.filters = Filters(width, order, span, bands, hidden)
        self.bias = nn.Parameter(torch.randn(order, width))
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(self.convolution(self.into(x)))[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        mixed, window = self.convolution.prefill(self.into(x))
        out, pasts = self._mix(mixed)
        return out, (window, pasts)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the window of the short convolution, zeros, and an empty past ``[B, 0, D]`` for every filter."""
        empty = like.new_zeros(rows, 0, self.bias.shape[1])
        return self.convolution.start(rows, like), (empty,) * self.order

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the recurrence to one position."""
        window, pasts = state
        mixed, window = self.convolution.step(self.into(x), window)
        z, *gates = mixed.chunk(self.order + 1, dim=-1)
        oldest_first = self.filters(pasts[0].shape[1] + 1).flip(0).unbind(1)
        new_pasts = []
        for gate, past, filters, bias in zip(gates, pasts, oldest_first, self.bias, strict=True):
            new_pasts.append(torch.cat((past, z[:, None]), dim=1))
            z = gate * ((new_pasts[-1] * filters).sum(1) + bias * z)
        return self.out(z), (window, tuple(new_pasts))

    def _mix(self, mixed: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Return the outputs and the input ``[B, L, D]`` of every filter, for the convolved projections."""
        convolve = FORMS[form_for(self, mixed)]
        z, *gates = mixed.chunk(self.order + 1, dim=-1)
        pasts = []
        for gate, filters, bias in zip(gates, self.filters(mixed.shape[1]).unbind(1), self.bias, strict=True):
            pasts.append(z)
            z = gate * (convolve(z, filters) + bias * z)
        return self.out(z), tuple(pasts)
