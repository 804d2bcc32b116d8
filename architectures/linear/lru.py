"""LRU: an RNN with a linear, diagonal and complex recurrence, initialised for long memory.

Orvieto et al. 2023, "Resurrecting Recurrent Neural Networks for Long Sequences", section 3 and appendix A.

Glossary (paper <-> code):
    lambda     eigenvalues, |lambda| < 1      <-> eigenvalues()   complex [N]
    nu, theta  lambda = exp(-nu + i theta)    <-> exp(nu_log), exp(theta_log)
    gamma      normalisation of the input     <-> exp(gamma_log)
    B, C       input and output matrices      <-> B [2, D, N], C [2, N, D], real and imaginary parts
    D          skip                           <-> D               [D]
    x_k        state                          <-> states          complex [B, L, N]

    x_k = lambda * x_{k-1} + gamma * B u_k,    y_k = Re(C x_k) + D * u_k          (equation 7)

Initialisation (lemma 3.2, section 3.4): eigenvalues are uniform on the ring between the radii ``r_min`` and ``r_max``,
with phases up to ``max_phase``; gamma = (1 - |lambda|^2)^(1/2) gives states the variance of a white-noise input. The
recurrence is followed by a GELU and a gated linear unit.

All parameters are real, so that the model can change its precision.

Differs from the paper: layer normalisation before a block, not batch normalisation.
"""

import math
from typing import Annotated, ClassVar, Literal

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.kernel_choice import choose, form_for
from architectures.parts.scans import diagonal

FORMS = {"recurrent": diagonal.loop, "chunked": diagonal.chunked}


class LRU(Mixer):
    """One linear recurrent unit, GELU and GLU. The block of the paper has no further feed-forward.

    Args:
        width: channels ``D``.
        state: complex states ``N``.
        r_min: minimum initial radius of the eigenvalues.
        r_max: maximum initial radius, less than or equal to one; close to one for tasks that need long memory.
        max_phase: maximum initial phase of the eigenvalues, in radians; the minimum is zero.
        kernel: ``recurrent`` is equation 7, step by step; ``chunked`` scans chunks in parallel. ``auto`` takes
            ``recurrent`` on a CPU and ``chunked`` on a GPU.
    """

    native: ClassVar[Block] = Block(norm="layer", feed_forward=None)
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self,
        width: int,
        *,
        state: Positive = 64,
        r_min: Annotated[float, Interval(ge=0.0, lt=1.0)] = 0.0,
        r_max: Annotated[float, Interval(gt=0.0, le=1.0)] = 1.0,
        max_phase: Annotated[float, Interval(gt=0.0, le=2 * math.pi)] = 2 * math.pi,
        kernel: Literal["auto", "recurrent", "chunked"] = "auto",
    ) -> None:
        super().__init__()
        if r_min >= r_max:
            raise ValueError(f"r_min={r_min:g} must be less than r_max={r_max:g}; the default r_min=0 is always valid")
        self.choice = choose(kernel, cpu="recurrent", cuda="chunked")
        self.kernel_in_use = self.choice.record(torch.device("cpu"))
        nu = ring(inside(torch.rand(state)), r_min, r_max)
        self.nu_log = nn.Parameter(nu.log())
        self.theta_log = nn.Parameter((max_phase * inside(torch.rand(state))).log())
        self.gamma_log = nn.Parameter(0.5 * torch.log(-torch.expm1(-2 * nu)))
        self.B = nn.Parameter(torch.randn(2, width, state) / math.sqrt(2 * width))
        self.C = nn.Parameter(torch.randn(2, state, width) / math.sqrt(state))
        self.D = nn.Parameter(torch.randn(width))
        self.glu = nn.Linear(width, 2 * width)

    def eigenvalues(self) -> Tensor:
        """Return ``lambda``, complex ``[N]``."""
        radius, phase = torch.exp(-self.nu_log.exp()), self.theta_log.exp()
        return torch.complex(radius * phase.cos(), radius * phase.sin())

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._output(self._scan(x), x)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the last state."""
        states = self._scan(x)
        return self._output(states, x), real_parts(states[:, -1])

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros, real and imaginary ``[B, 2, N]``."""
        return like.new_zeros(rows, 2, len(self.nu_log))

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply equation 7 to one position."""
        states = self.eigenvalues() * torch.complex(*state.unbind(1)) + self._input_projection(x)
        return self._output(states, x), real_parts(states)

    def _scan(self, x: Tensor) -> Tensor:
        """Return all states, complex ``[B, L, N]``."""
        inputs = self._input_projection(x)
        decay = self.eigenvalues().expand(1, x.shape[1], -1)
        return FORMS[form_for(self, x)](decay, inputs)

    def _input_projection(self, u: Tensor) -> Tensor:
        B = self.B * self.gamma_log.exp()
        return torch.complex(u @ B[0], u @ B[1])

    def _output(self, states: Tensor, u: Tensor) -> Tensor:
        y = states.real @ self.C[0] - states.imag @ self.C[1] + self.D * u
        return F.glu(self.glu(F.gelu(y)), dim=-1)


def real_parts(states: Tensor) -> Tensor:
    """Return the real and imaginary parts of complex ``[B, N]``, ``[B, 2, N]``."""
    return torch.stack((states.real, states.imag), dim=1)


def ring(u: Tensor, r_min: float, r_max: float) -> Tensor:
    """Return ``nu`` for ``u`` uniform in (0, 1), so that radii ``exp(-nu)`` are uniform on the ring (lemma 3.2)."""
    return -0.5 * torch.log(u * (r_max**2 - r_min**2) + r_min**2)


def inside(u: Tensor) -> Tensor:
    """Clamp uniform numbers away from 0 and 1, where ``log(u)`` or ``log(-log(u))`` is infinite."""
    return u.clamp(1e-6, 1 - 1e-6)
