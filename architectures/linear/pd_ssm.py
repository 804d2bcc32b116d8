"""PD-SSM: a state space model whose transitions are a map of the states times a complex diagonal.

Terzic et al. 2025, "Structured Sparse Transition Matrices to Enable State Tracking in State-Space Models" (arXiv
2509.22284). Each column of the map has one entry 1, so it moves every state to some state, as a letter of a finite
automaton does. One layer with N states can run any automaton with N states, and N numbers are multiplied per step.

Glossary (paper <-> code):
    h_t        state, complex                      <-> state      [B, N], real and imaginary part as a pair
    M_k        dictionary of K matrices            <-> dictionary [K, N, N]
    s(x_t)     weights of the dictionary           <-> choice     [B, L, K]
    P(x_t)     map with one-hot columns            <-> move       [B, L, N, N]
    D(x_t)     complex diagonal, modulus below 1   <-> diagonal   [B, L, N], twice
    B, W, D    input, output and skip maps         <-> write, read, skip

    M = sum_k softmax(S x_t)_k M_k        P_ij = 1 if i = argmax_i M_ij, else 0
    h_t = P(x_t) D(x_t) h_{t-1} + B x_t        y_t = W (Re h_t, Im h_t) + D x_t,        h_0 = e_1

The maximum has no gradient. As in the paper, the backward pass uses the softmax of each column in place of its maximum.

Differs from the authors' torch code, whose maximum runs over rows, so that each row is one-hot; here columns are, as in
the paper's theorem. There are 16 states instead of 128.
"""

import math
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State


class PDSSM(Mixer):
    """One PD-SSM layer. In the paper's block LayerNorm follows, without a residual or a feed-forward.

    Args:
        width: channels ``D``.
        state: states ``N``.
        matrices: size ``K`` of the dictionary.
    """

    native: ClassVar[Block] = Block(norm="layer", placement="post", residual=False, feed_forward=None)
    no_weight_decay = ("dictionary",)

    def __init__(self, width: int, *, state: Positive = 16, matrices: Positive = 8) -> None:
        super().__init__()
        self.state = state
        self.dictionary = nn.Parameter(torch.randn(matrices, state, state) * state**-0.5)
        self.choice = nn.Linear(width, matrices)
        self.modulus, self.phase = (
            nn.Sequential(nn.Linear(width, 2 * state), nn.GELU(), nn.Linear(2 * state, state)) for _ in range(2)
        )
        self.write = nn.Linear(width, 2 * state, bias=False)
        nn.init.normal_(self.write.weight, std=(2 * state) ** -0.5)
        self.read = nn.Linear(2 * state, width)
        self.skip = nn.Parameter(torch.randn(width) * width**-0.5)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs and the state after them."""
        state, states = self.start(x.shape[0], x), []
        for step in zip(*(part.unbind(1) for part in self._project(x)), strict=True):
            state = advance(state, *step)
            states.append(state)
        return self._output(torch.stack(states, dim=1), x), state

    def start(self, rows: int, like: Tensor) -> State:
        """Return the first unit vector, ``[B, 2, N]``: real and imaginary parts."""
        return F.pad(like.new_ones(rows, 1, 1), (0, self.state - 1, 0, 1))

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equation to one position."""
        state = advance(state, *self._project(x))
        return self._output(state, x), state

    def _project(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return move ``[..., N, N]``, and diagonal and input as real and imaginary parts ``[..., 2, N]``."""
        weights = self.choice(x).softmax(-1)
        soft = (weights @ self.dictionary.flatten(1)).unflatten(-1, self.dictionary.shape[1:])
        modulus, phase = torch.sigmoid(self.modulus(x)), 2 * math.pi * torch.sigmoid(self.phase(x))
        diagonal = torch.stack((modulus * phase.cos(), modulus * phase.sin()), dim=-2)
        return one_hot_columns(soft), diagonal, self.write(x).unflatten(-1, (2, -1))

    def _output(self, state: Tensor, x: Tensor) -> Tensor:
        return self.read(state.flatten(-2)) + self.skip * x


def one_hot_columns(matrix: Tensor) -> Tensor:
    """Return 1 at the maximum of each column of ``[..., N, N]``; gradients are those of the columns' softmax."""
    soft = matrix.softmax(-2)
    hard = torch.zeros_like(soft).scatter(-2, matrix.argmax(-2, keepdim=True), 1.0)
    return hard + (soft - soft.detach())  # exactly one-hot


def advance(state: Tensor, move: Tensor, diagonal: Tensor, write: Tensor) -> Tensor:
    """Return the next state ``[..., 2, N]``: multiply by the complex diagonal, move, add."""
    (re, im), (turn_re, turn_im) = state.unbind(-2), diagonal.unbind(-2)
    turned = torch.stack((re * turn_re - im * turn_im, re * turn_im + im * turn_re), dim=-2)
    return turned @ move.transpose(-1, -2) + write
