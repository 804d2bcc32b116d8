"""Recurrent layers in one direction, as equations and as torch's fused operator with the same weights.

Simple recurrence (Elman 1990)::

    h_t = tanh(W x_t + b + U h_{t-1} + b')

LSTM (Hochreiter & Schmidhuber 1997; forget gates by Gers et al. 2000), gates stacked in the order i, f, g, o::

    i, f, o = sigmoid(W x_t + U h_{t-1} + b)        g = tanh(W x_t + U h_{t-1} + b)
    c_t = f * c_{t-1} + i * g                       h_t = o * tanh(c_t)

GRU (Cho et al. 2014), gates stacked in the order r, z, n. As in cuDNN, the reset gate acts after the recurrent
product; in the paper it acts before it, and ``z`` and ``1 - z`` are swapped::

    r, z = sigmoid(W x_t + U h_{t-1} + b)           n = tanh(W x_t + b + r * (U h_{t-1} + b'))
    h_t = (1 - z) * n + z * h_{t-1}

A *state* is a tuple of tensors ``[B, D]``, the hidden state first. The input products ``W x + b`` of a whole sequence
are computed at once (``input_projection``); only ``update`` runs step by step.
"""

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, State
from architectures.parts.kernels import replicas

RecurrenceKernel = Literal["auto", "loop", "torch"]

FUSED = f"torch {torch.__version__}"


class Recurrence(nn.Module):
    """One layer of a recurrence.

    Args:
        inputs: channels ``I`` of the input.
        width: channels ``D`` of the state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
        reverse: read the sequence from its end.
    """

    fused: ClassVar[type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]]
    state_parts: ClassVar[int]

    def __init__(self, inputs: int, width: int, kernel: RecurrenceKernel = "auto", reverse: bool = False) -> None:
        super().__init__()
        self.kernel, self.reverse = kernel, reverse
        self.kernel_in_use = "loop" if kernel == "loop" else FUSED
        self.cell = self.fused(inputs, width, batch_first=True)

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Map ``[B, L, I]`` to the hidden states ``[B, L, D]`` and the final state.

        In both directions a hidden state is at the position of its input. If the state is ``None``, it is zeros.
        """
        x = x.flip(1) if self.reverse else x
        state = self.start(x.shape[0], x) if state is None else state
        fused = self.kernel == "torch" or (self.kernel == "auto" and not replicas())
        self.kernel_in_use = FUSED if fused else "loop"
        hidden, state = self._fused(x, state) if fused else self._loop(x, state)
        return hidden.flip(1) if self.reverse else hidden, state

    def start(self, rows: int, like: Tensor) -> tuple[Tensor, ...]:
        """Return zeros ``[B, D]`` for each part of the state."""
        return (like.new_zeros(rows, self.cell.hidden_size),) * self.state_parts

    def input_projection(self, x: Tensor) -> Tensor:
        """Return the input products of all gates, ``[..., I]`` to ``[..., gates * D]``."""
        return self._product("ih", x)

    def recurrent_projection(self, hidden: Tensor) -> Tensor:
        """Return the recurrent products of all gates, ``[B, D]`` to ``[B, gates * D]``."""
        return self._product("hh", hidden)

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Return the next state from the input products ``[B, gates * D]`` and the state."""
        raise NotImplementedError

    def _product(self, weights: Literal["ih", "hh"], x: Tensor) -> Tensor:
        return F.linear(x, getattr(self.cell, f"weight_{weights}_l0"), getattr(self.cell, f"bias_{weights}_l0"))

    def _loop(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden = []
        for projected in self.input_projection(x).unbind(1):
            state = self.update(projected, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError


class RNNLayer(Recurrence):
    """A simple recurrence. The state is (hidden,), and the number of gates is one."""

    fused = nn.RNN
    state_parts = 1

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Apply the equation to one position."""
        (hidden,) = state
        return ((projected + self.recurrent_projection(hidden)).tanh(),)

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        out, last = self.cell(x, state[0][None])
        return out, (last[0],)


class LSTMLayer(Recurrence):
    """An LSTM layer. The state is (hidden, cell)."""

    fused = nn.LSTM
    state_parts = 2

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Apply the equations to one position."""
        hidden, cell = state
        i, f, g, o = (projected + self.recurrent_projection(hidden)).chunk(4, dim=-1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden, cell = state
        out, (hidden, cell) = self.cell(x, (hidden[None], cell[None]))
        return out, (hidden[0], cell[0])


class GRULayer(Recurrence):
    """A GRU layer. The state is (hidden,)."""

    fused = nn.GRU
    state_parts = 1

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Apply the equations to one position."""
        (hidden,) = state
        (r, z, n), (r_h, z_h, n_h) = projected.chunk(3, dim=-1), self.recurrent_projection(hidden).chunk(3, dim=-1)
        n = (n + (r + r_h).sigmoid() * n_h).tanh()
        return (n + (z + z_h).sigmoid() * (hidden - n),)

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        out, last = self.cell(x, state[0][None])
        return out, (last[0],)


@torch.no_grad()
def make_orthogonal(layer: Recurrence) -> None:
    """Initialise the recurrent matrix of each gate as a random orthogonal matrix (Saxe et al. 2013)."""
    _, recurrent, *_ = layer.cell.all_weights[0]
    for gate in recurrent.split(layer.cell.hidden_size):
        nn.init.orthogonal_(gate)


def run_layers(layers: nn.ModuleList, x: Tensor, states: State, dropout: nn.Module) -> tuple[Tensor, State]:
    """Run a stack of layers on ``[B, L, I]``, each from its own state, with dropout on each layer's input."""
    new_states = []
    for layer, initial in zip(layers, states, strict=True):
        x, state = layer(dropout(x), initial)
        new_states.append(state)
    return x, new_states


class RecurrentMixer(Mixer):
    """One recurrent layer as a mixer; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and state.
        kernel: as in :class:`Recurrence`.
    """

    recurrence: ClassVar[type[Recurrence]]
    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)
    reference: ClassVar[str] = "loop"

    def __init__(self, width: int, *, kernel: RecurrenceKernel = "auto") -> None:
        super().__init__()
        self.layer = self.recurrence(width, width, kernel)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to the hidden states ``[B, L, D]``."""
        return self.layer(x)[0]

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros."""
        return self.layer.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        state = self.layer.update(self.layer.input_projection(x), state)
        return state[0], state
