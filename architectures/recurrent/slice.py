"""SLiCE: a linear differential equation driven by the tokens, with block-diagonal matrices.

Walker et al. 2025, "Structured Linear CDEs: Maximally Expressive and Parallel-in-Time Sequence Models" (arXiv
2505.17761), sections 3 and 4. Each token multiplies the state by a matrix, as in ``bilinear``, but by one plus a small
change: a token that changes nothing is the neutral start, not one that erases the state.

Glossary (paper <-> code):
    y_t      hidden state                         <-> state      [B, D / b, b], in blocks of ``b`` channels
    A(u_t)   vector field, linear in u_t          <-> matrices   [B, L, D / b, b, b]
    u_t      (1, x_t) times the time of a step    <-> STEP * (1, x_t)

    y_0 = W x_0 + b        y_t = y_{t-1} + A(u_t) y_{t-1}
    z_t = y_t + x_t        out = LayerNorm(z_t + tanh(W' z_t))

With ``block=1`` the matrices are diagonal; ``block=D`` is a dense linear CDE. The time of a step is 1 / 40 at any
length, because the authors train on lengths up to 40.

Differs from the authors' code: a change of the state is not limited to 1e11, which would not be linear, and there is
no dropout by default. The first token can be the only one.
"""

from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State

STEP = 1 / 40
"""The time of a step."""
SPREAD = 0.5
"""The standard deviation of the initial weights, those of the matrices before the division by ``sqrt(b)``."""


class SLiCE(Mixer):
    """A linear recurrence whose matrices are block-diagonal. In the paper's block LayerNorm follows the residual sum.

    Args:
        width: channels ``D`` of the input and of the state, a multiple of ``block``.
        block: size ``b`` of the blocks on the diagonal; 1 is diagonal, ``width`` a full matrix.
        kernel: ``recurrent`` is the equation, step by step; ``parallel`` multiplies the matrices in ``log2 L`` rounds.
            ``auto`` takes ``recurrent`` on a CPU and ``parallel`` on a GPU.
    """

    native: ClassVar[Block] = Block(norm="layer", placement="post", feed_forward=None)
    reference: ClassVar[str] = "recurrent"

    def __init__(
        self, width: int, *, block: Positive = 4, kernel: Literal["auto", "recurrent", "parallel"] = "auto"
    ) -> None:
        super().__init__()
        if width % block:
            nearest = max(1, round(width / block)) * block
            raise ValueError(f"width={width} must be a multiple of block={block}; the nearest is {nearest}")
        self.block, self.form = block, kernel
        self.kernel_in_use: str = kernel
        self.field = nn.Linear(width, width * block)  # its bias belongs to the channel of time
        self.first, self.mix = nn.Linear(width, width), nn.Linear(width, width)
        for parameter in self.field.parameters():
            nn.init.normal_(parameter, std=SPREAD * block**-0.5)
        for parameter in self.first.parameters():
            nn.init.normal_(parameter, std=SPREAD)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        on_device = "parallel" if x.device.type == "cuda" else "recurrent"
        self.kernel_in_use = on_device if self.form == "auto" else self.form
        states = FORMS[self.kernel_in_use](self._blocks(self.first(x[:, 0])), self._matrices(x[:, 1:]))
        return self._output(states.flatten(2), x), (states[:, -1], torch.ones_like(x[:, 0, :1]))

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the state ``[B, D / b, b]``, and whether there was a token, 0 or 1, ``[B, 1]``."""
        zeros = like.new_zeros(rows, self.first.out_features)
        return self._blocks(zeros), zeros[:, :1]

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position; the first token sets the state."""
        state, started = state
        state = torch.where(started[..., None] > 0, advance(state, self._matrices(x)), self._blocks(self.first(x)))
        return self._output(state.flatten(1), x), (state, torch.ones_like(started))

    def _blocks(self, x: Tensor) -> Tensor:
        """Cut channels into blocks, ``[..., D / b, b]``."""
        return x.unflatten(-1, (-1, self.block))

    def _matrices(self, x: Tensor) -> Tensor:
        """Return the blocks of ``A(u)``, ``[..., D / b, b, b]``."""
        return (STEP * self.field(x)).unflatten(-1, (-1, self.block, self.block))

    def _output(self, y: Tensor, x: Tensor) -> Tensor:
        """Return what the residual sum and LayerNorm of the block take."""
        return y + torch.tanh(self.mix(y + x))


def advance(state: Tensor, matrices: Tensor) -> Tensor:
    """Return ``y + A y`` for blocks ``[B, D / b, b]`` and matrices ``[B, D / b, b, b]``."""
    return state + (matrices @ state[..., None])[..., 0]


def recurrent(first: Tensor, matrices: Tensor) -> Tensor:
    """Return all states ``[B, L, D / b, b]`` from the first one and the matrices of the later ``L - 1`` tokens."""
    states = [first]
    for matrix in matrices.unbind(1):
        states.append(advance(states[-1], matrix))
    return torch.stack(states, dim=1)


def parallel(first: Tensor, matrices: Tensor) -> Tensor:
    """Return the result of :func:`recurrent`; after round r, a product covers the last ``2^r`` tokens."""
    products = matrices + torch.eye(matrices.shape[-1], dtype=matrices.dtype, device=matrices.device)
    reach = 1
    while reach < matrices.shape[1]:
        products = torch.cat((products[:, :reach], products[:, reach:] @ products[:, :-reach]), dim=1)
        reach *= 2
    later = (products @ first[:, None, :, :, None])[..., 0]
    return torch.cat((first[:, None], later), dim=1)


FORMS = {"recurrent": recurrent, "parallel": parallel}
