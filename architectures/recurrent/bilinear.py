"""Bilinear recurrence: each token multiplies the state by a matrix, and nothing is added.

Ebrahimi & Memisevic 2025, "Revisiting Bi-Linear State Transitions in Recurrent Neural Networks" (arXiv 2505.21749). A
finite automaton is such a recurrence: each letter is a matrix that maps the state before it to the state after it. So
one layer can run any automaton whose number of states is at most the number of channels.

Glossary (paper <-> code):
    h_t      hidden state                    <-> state       [B, N / b, b], in blocks of ``b`` channels
    A(x_t)   transition, linear in x_t       <-> matrices    [B, L, N / b, b, b]
    h_0      initial state, learned          <-> first       [N / b, b]

    h_t = A(x_t) h_{t-1} / norm(A(x_t) h_{t-1})        A(x)_ij = sum_k W_ijk x_k        y_t = W_o h_t

The paper also studies what is left if the matrices are restricted. With ``block=1`` they are diagonal, which suffices
for parity; blocks of 2 can turn, which suffices for counting modulo any number; full matrices run any automaton.

Differs from the paper: the state is divided by its norm at every step, in training too. A positive factor of the state
does not change which answer has the largest score, and without it products of many matrices overflow or vanish. The
entries of ``W`` start such that a step keeps the norm of a random state.
"""

from typing import ClassVar

import torch
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State

FLOOR = 1e-12


class Bilinear(Mixer):
    """A recurrence of products. The paper's model has neither norms nor residuals nor a feed-forward.

    Args:
        width: channels ``D``.
        state: channels ``N`` of the state, a multiple of ``block``.
        block: size ``b`` of the blocks on the diagonal of the transition; 1 is diagonal, ``state`` a full matrix.
    """

    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)

    def __init__(self, width: int, *, state: Positive = 32, block: Positive = 8) -> None:
        super().__init__()
        if state % block:
            nearest = max(1, round(state / block)) * block
            raise ValueError(f"state={state} must be a multiple of block={block}; the nearest is {nearest}")
        self.block, self.blocks = block, state // block
        self.transition = nn.Linear(width, state * block, bias=False)
        nn.init.normal_(self.transition.weight, std=(block * width) ** -0.5)
        self.first = nn.Parameter(torch.randn(self.blocks, block))
        self.out = nn.Linear(state, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        state, states = self.start(x.shape[0], x), []
        for matrices in self._matrices(x).unbind(1):
            state = advance(matrices, state)
            states.append(state)
        return self.out(torch.stack(states, dim=1).flatten(2)), state

    def start(self, rows: int, like: Tensor) -> State:
        """Return the initial state, ``[B, N / b, b]``."""
        return self.first.to(like).expand(rows, -1, -1)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        state = advance(self._matrices(x), state)
        return self.out(state.flatten(1)), state

    def _matrices(self, x: Tensor) -> Tensor:
        """Return the blocks of the transition, ``[..., N / b, b, b]``."""
        return self.transition(x).unflatten(-1, (self.blocks, self.block, self.block))


def advance(matrices: Tensor, state: Tensor) -> Tensor:
    """Multiply the blocks of a state ``[B, N / b, b]`` by matrices ``[B, N / b, b, b]``, and give it the norm one."""
    moved = (matrices @ state[..., None])[..., 0]
    return moved * torch.rsqrt(moved.square().sum((-2, -1), keepdim=True) + FLOOR)
