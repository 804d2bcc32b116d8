"""Selective GLA: gated linear attention whose queries and keys turn by angles that the tokens choose.

Movahedi et al. 2025, "Selective Rotary Position Embedding" (arXiv 2511.17388); the angles are in
``parts/selective_angles.py``, with the equations. GLA has decays and no rotations. With both, one layer can compute
parity: a one turns the angle by half a circle, and a zero does not.

Glossary (paper <-> code):
    phi_t     angle so far, before its frequency     <-> state of ``angles``   [B, H, 1, E / 2]
    other symbols                                    <-> as in ``gla.py``

With increments of one it is GLA with RoPE, with increments of zero GLA. The two channels of a pair have decays of their
own, so scores do not depend on the difference of two angles only.

Differs from the authors' code as ``gla`` and the angles do.
"""

from typing import Literal

from torch import Tensor

from architectures.base import Context, Positive, State
from architectures.linear.gla import GLA, PROMPT_FORMS
from architectures.parts.attention import head_width
from architectures.parts.kernel_choice import form_for
from architectures.parts.positions.rope import turn
from architectures.parts.scans import decay
from architectures.parts.selective_angles import SelectiveAngles


class SelectiveGLA(GLA):
    """Gated linear attention with selective angles. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``, a multiple of four times the heads (pairs of the ``E = D / (2 H)`` channels turn).
        heads: number of heads ``H``.
        rank: channels between the two maps of the forget gate, and of the increments.
        conv: number of positions that the convolution of the increments mixes.
        theta: base of the frequencies; 1 gives all pairs the same, as in the authors' runs on state tracking.
        increment: initial constant part of the increments; 1 starts near RoPE, 0 near GLA.
        gated: whether each head scales its increments by a gate.
        kernel: as in ``gla``.
    """

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        rank: Positive = 16,
        conv: Positive = 4,
        theta: float = 500000.0,
        increment: float = 1.0,
        gated: bool = False,
        kernel: Literal["auto", "recurrent", "parallel", "chunked", "stepwise", "fla"] = "auto",
    ) -> None:
        channels = head_width(width, heads, multiple=4) // 2
        super().__init__(width, heads=heads, rank=rank, kernel=kernel)
        sizes = width, heads, channels, rank, conv
        self.angles = SelectiveAngles(*sizes, theta=theta, increment=increment, gated=gated)

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the state after them."""
        turns, angles = self.angles(x)
        q, *updates = self._turned(x, turns)
        out = self._output(PROMPT_FORMS[form_for(self, x)](q, *updates), x)
        return out, (decay.final_state(*updates), angles)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the state ``[B, H, E, V]``, and that of the angles."""
        return super().start(rows, like), self.angles.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the recurrence to one position."""
        x, (memory, angles) = x[:, None], state
        turns, angles = self.angles.step(x, angles)
        q, *update = (z[..., 0, :] for z in self._turned(x, turns))
        memory = decay.update(memory, *update)
        return self._output(decay.read(memory, q)[..., None, :], x)[:, 0], (memory, angles)

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        return self._turned(x, self.angles(x)[0])

    def _turned(self, x: Tensor, turns: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Return the projections of GLA, with queries and keys turned."""
        q, k, v, log_decay = super()._project(x)
        return turn(q, turns), turn(k, turns), v, log_decay
