"""S4D: linear systems with constant diagonal transitions, computed as a recurrence or as a convolution.

Gu et al. 2022, "On the Parameterization and Initialization of Diagonal State Space Models". Every channel has its own
system.

Glossary (paper <-> code):
    A          transition, negative real part  <-> A          [D, M], from ``decay_log`` and ``frequency``
    B          input matrix, all ones          <-> left out, because only B * C matters
    C          output matrix                   <-> C          [D, M]
    Delta      step size                       <-> delta      [D, 1]
    A_, B_     the same, discretised           <-> a, b       [D, M]
    K_         kernel of the convolution       <-> filters    [L, D]
    D          skip                            <-> D          [D]
    N          states of a channel             <-> state      complex ones come in pairs; M = N / 2 are stored

    x'(t) = A x(t) + B u(t),  y(t) = 2 Re(C x(t)) + D u(t)
    zoh:       A_ = exp(Delta A),                        B_ = A^-1 (exp(Delta A) - 1)
    bilinear:  A_ = (1 + Delta A/2) / (1 - Delta A/2),   B_ = Delta / (1 - Delta A/2)
    x_k = A_ x_{k-1} + B_ u_k,    or    y = u * K_ with K_l = 2 Re(sum_n C_n A_n_^l B_n_)

Initialisation (step sizes log-uniform in [0.001, 0.1], C normal):
    lin:   A_n = -1/2 + i pi n           inv:  A_n = -1/2 + i (N / pi) (N / (2n + 1) - 1)      real:  A_n = -(n + 1)

The output map is GELU, then a gated linear unit, as in the authors' code. All parameters are real, so that the model
can change its precision; ``real`` has N real states.
"""

import math
from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts import long_convolution
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.ssm_init import log_uniform

BLOCK = 1024
"""The number of positions whose powers of ``A_`` are in memory at once."""


class S4D(Mixer):
    """Diagonal state spaces, GELU and GLU. The block of the paper has no further feed-forward.

    Args:
        width: channels ``D``.
        state: states ``N`` of every channel, even.
        init: the initial transition, S4D-Lin, S4D-Inv or S4D-Real.
        discretization: zero-order hold or the bilinear rule.
        kernel: ``recurrent`` runs step by step; ``convolution`` computes the convolution kernel as a product with a
            Vandermonde matrix and convolves by FFT. ``auto`` takes ``convolution`` (on one busy core, a training step
            of two layers at batch 64: 41 ms against 184 at length 20, 0.3 s against 2.3 at 200).
    """

    no_weight_decay = ("decay_log", "frequency", "delta_log")

    native: ClassVar[Block] = Block(norm="layer", feed_forward=None)
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        state: Positive = 64,
        init: Literal["lin", "inv", "real"] = "lin",
        discretization: Literal["zoh", "bilinear"] = "zoh",
        kernel: Literal["auto", "recurrent", "convolution"] = "auto",
    ) -> None:
        super().__init__()
        if state % 2:
            raise ValueError(f"state={state} must be even, because states come in pairs; use {state + 1}")
        self.choice = choose(kernel, cpu="convolution", cuda="convolution")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        self.discretize = DISCRETIZATIONS[discretization]
        decay, frequency = INITS[init](state)
        parts = 1 if frequency is None else 2
        self.decay_log = nn.Parameter(decay.log().repeat(width, 1))
        self.frequency = None if frequency is None else nn.Parameter(frequency.repeat(width, 1))
        self.C = nn.Parameter(torch.randn(parts, width, state // parts) * parts**-0.5)
        self.delta_log = nn.Parameter(log_uniform(width, 1).log())
        self.D = nn.Parameter(torch.randn(width))
        self.glu = nn.Linear(width, 2 * width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        form = form_for(self, x)
        y = long_convolution.fft(x, self.filters(x.shape[1])) if form == "convolution" else self._run_recurrence(x)
        return self._output(y, x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        return self(x, context), parts_of(self._final_state(x))

    def transition(self) -> Tensor:
        """Return ``A`` ``[D, M]``."""
        real = -self.decay_log.exp()
        return real if self.frequency is None else torch.complex(real, self.frequency)

    def system(self) -> tuple[Tensor, Tensor]:
        """Return ``A_`` and ``B_`` ``[D, M]``."""
        return self.discretize(self.transition(), self.delta_log.exp())

    def filters(self, length: int) -> Tensor:
        """Return the convolution kernel ``K_`` ``[L, D]``, computed for one block of positions at a time."""
        (a, b), blocks = self.system(), []
        first = powers(a, min(length, BLOCK))
        for _ in range(0, length, BLOCK):
            blocks.append(self._read(b * first))
            b = b * first[-1] * a
        return torch.cat(blocks)[:length]

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros, real and imaginary ``[B, 2, D, M]``, or ``[B, 1, D, N]`` for real states."""
        return like.new_zeros(rows, *self.C.shape)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the recurrence to one position."""
        a, b = self.system()
        h = a * join_parts(state.unbind(1)) + b * x[..., None]
        return self._output(self._read(h), x), parts_of(h)

    def _final_state(self, x: Tensor) -> Tensor:
        """Return ``sum_j A_^(L-1-j) B_ u_j`` ``[B, D, M]``, computed for one block of positions at a time."""
        a, b = self.system()
        newest_last = powers(a, min(x.shape[1], BLOCK)).flip(0)
        h = torch.zeros_like(a)
        for block in x.split(BLOCK, dim=1):
            weights = newest_last[-block.shape[1] :]
            h = weights[0] * a * h + torch.einsum("ldm,bld->bdm", weights, block.to(a.dtype))
        return b * h

    def _run_recurrence(self, x: Tensor) -> Tensor:
        a, b = self.system()
        h, out = torch.zeros_like(a), []
        for x_t in x.unbind(1):
            h = a * h + b * x_t[..., None]  # [B, D, M]
            out.append(self._read(h))
        return torch.stack(out, dim=1)

    def _read(self, h: Tensor) -> Tensor:
        """Return ``2 Re(C h)``, ``[..., D]``, or ``C h`` for real states, which do not represent pairs."""
        if not h.is_complex():
            return (self.C[0] * h).sum(-1)
        return 2 * (self.C[0] * h.real - self.C[1] * h.imag).sum(-1)

    def _output(self, y: Tensor, x: Tensor) -> Tensor:
        return F.glu(self.glu(F.gelu(y + self.D * x)), dim=-1)


def lin(state: int) -> tuple[Tensor, Tensor]:
    """Return decays and frequencies of S4D-Lin."""
    n = torch.arange(state // 2)
    return torch.full((state // 2,), 0.5), math.pi * n


def inv(state: int) -> tuple[Tensor, Tensor]:
    """Return decays and frequencies of S4D-Inv."""
    n = torch.arange(state // 2)
    return torch.full((state // 2,), 0.5), state / math.pi * (state / (2 * n + 1) - 1)


def real(state: int) -> tuple[Tensor, None]:
    """Return the decays of S4D-Real."""
    return torch.arange(1.0, state + 1), None


def zoh(A: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Discretise by zero-order hold: the input is constant during a step."""
    return torch.exp(delta * A), torch.expm1(delta * A) / A


def bilinear(A: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """Discretise by the trapezoid rule."""
    half = 1 - delta * A / 2
    return (2 - half) / half, delta / half


INITS = {"lin": lin, "inv": inv, "real": real}
DISCRETIZATIONS = {"zoh": zoh, "bilinear": bilinear}


def powers(a: Tensor, length: int) -> Tensor:
    """Return ``a^0 .. a^(L-1)``, ``[L, ...]``, a Vandermonde matrix, by repeatedly doubling the number of powers."""
    out = torch.ones_like(a)[None]
    while len(out) < length:
        out, a = torch.cat((out, a * out)), a * a
    return out[:length]


def parts_of(h: Tensor) -> Tensor:
    """Return the real and imaginary parts of ``[B, D, M]``, ``[B, 2, D, M]``, or real states as ``[B, 1, D, N]``."""
    return torch.stack((h.real, h.imag) if h.is_complex() else (h,), dim=1)


def join_parts(parts: tuple[Tensor, ...]) -> Tensor:
    """Return the complex tensor of a real and an imaginary part, or the only part unchanged."""
    return torch.complex(*parts) if len(parts) == 2 else parts[0]
