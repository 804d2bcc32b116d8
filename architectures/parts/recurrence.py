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

from architectures.base import Block, Context, Lookup, Mixer, State
from architectures.parts.kernels import replicas
from architectures.parts.recurrence_gradients import GRUSteps, LSTMSteps, RNNSteps

RecurrenceKernel = Literal["auto", "loop", "torch", "manual"]

ANY = range(1 << 30)
"""All widths."""

FUSED = f"torch {torch.__version__}"


class Recurrence(nn.Module):
    """One layer of a recurrence.

    Args:
        inputs: channels ``I`` of the input.
        width: channels ``D`` of the state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``manual`` has gradients
            written by hand (``parts/recurrence_gradients.py``). ``auto`` takes ``loop`` in a population, because
            torch cannot batch the others over models; on a CPU ``manual`` in training where it is faster; else
            ``torch``.
        reverse: read the sequence from its end.

    Class attributes:
        fused: torch's module with the same weights.
        state_parts: number of tensors in the state.
        manual_width: the widths at which ``manual`` is faster, for a lookup and for other inputs (one thread, 64 rows).
    """

    fused: ClassVar[type[nn.RNN] | type[nn.LSTM] | type[nn.GRU]]
    state_parts: ClassVar[int]
    manual_width: ClassVar[tuple[range, range]]

    def __init__(self, inputs: int, width: int, kernel: RecurrenceKernel = "auto", reverse: bool = False) -> None:
        super().__init__()
        self.kernel, self.reverse = kernel, reverse
        self.kernel_in_use = {"loop": "loop", "manual": "manual"}.get(kernel, FUSED)
        self.cell = self.fused(inputs, width, batch_first=True)

    def forward(self, x: Tensor | Lookup, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Map ``[B, L, I]`` to the hidden states ``[B, L, D]`` and the final state.

        In both directions a hidden state is at the position of its input. If the state is ``None``, it is zeros.
        """
        if self.reverse:
            x = x._replace(tokens=x.tokens.flip(1)) if isinstance(x, Lookup) else x.flip(1)
        rows, like = (len(x.tokens), x.table) if isinstance(x, Lookup) else (len(x), x)
        state = self.start(rows, like) if state is None else state
        kernel = self._chosen_kernel(x)
        self.kernel_in_use = FUSED if kernel == "torch" else kernel
        if kernel == "manual" and not torch.is_grad_enabled():
            kernel = "torch"  # without gradients it would only hold more memory
        if kernel == "torch":
            hidden, state = self._fused(x.rows() if isinstance(x, Lookup) else x, state)
        else:
            hidden, state = (self._loop if kernel == "loop" else self._manual)(x, state)
        return hidden.flip(1) if self.reverse else hidden, state

    def _chosen_kernel(self, x: Tensor | Lookup) -> str:
        """Resolve ``auto`` for an input."""
        if self.kernel != "auto":
            return self.kernel
        if replicas():
            return "loop"
        device = (x.table if isinstance(x, Lookup) else x).device.type
        with_lookup, without = self.manual_width
        widths = with_lookup if isinstance(x, Lookup) else without
        is_faster = device == "cpu" and self.cell.hidden_size in widths and not torch.is_autocast_enabled(device)
        return "manual" if is_faster else "torch"

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

    def project_inputs(self, x: Tensor | Lookup) -> Tensor:
        """Return the input products of a sequence, ``[B, L, gates * D]``."""
        if isinstance(x, Lookup):
            return x._replace(table=self.input_projection(x.table)).rows()
        return self.input_projection(x)

    def _loop(self, x: Tensor | Lookup, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden = []
        for projected in self.project_inputs(x).unbind(1):
            state = self.update(projected, state)
            hidden.append(state[0])
        return torch.stack(hidden, dim=1), state

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError

    def _manual(self, x: Tensor | Lookup, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Run positions first, ``[L, B, gates * D]``, or from a table of input products."""
        if isinstance(x, Lookup):
            hidden, state = self._manual_steps(self._manual_projection(x.table), x.tokens.t(), state)
        else:
            hidden, state = self._manual_steps(self._manual_projection(x.transpose(0, 1)), None, state)
        return hidden.transpose(0, 1), state

    def _manual_projection(self, x: Tensor) -> Tensor:
        """Return the input products with both biases."""
        weight, _, bias, recurrent_bias = self.cell.all_weights[0]
        return F.linear(x, weight, bias + recurrent_bias)

    def _manual_steps(
        self, projected: Tensor, tokens: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        raise NotImplementedError


class RNNLayer(Recurrence):
    """A simple recurrence. The state is (hidden,), and the number of gates is one."""

    fused = nn.RNN
    state_parts = 1
    manual_width = ANY, ANY

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Apply the equation to one position."""
        (hidden,) = state
        return ((projected + self.recurrent_projection(hidden)).tanh(),)

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        out, last = self.cell(x, state[0][None])
        return out, (last[0],)

    def _manual_steps(
        self, projected: Tensor, tokens: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden, *_ = RNNSteps.apply(projected, tokens, self.cell.weight_hh_l0, *state)
        return hidden, (hidden[-1],)


class LSTMLayer(Recurrence):
    """An LSTM layer. The state is (hidden, cell)."""

    fused = nn.LSTM
    state_parts = 2
    manual_width = range(128, ANY.stop), range(0)

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

    def _manual_steps(
        self, projected: Tensor, tokens: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden, cell, *_ = LSTMSteps.apply(projected, tokens, self.cell.weight_hh_l0, *state)
        return hidden, (hidden[-1], cell)


class GRULayer(Recurrence):
    """A GRU layer. The state is (hidden,)."""

    fused = nn.GRU
    state_parts = 1
    manual_width = ANY, range(65)

    def update(self, projected: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        """Apply the equations to one position."""
        (hidden,) = state
        (r, z, n), (r_h, z_h, n_h) = projected.chunk(3, dim=-1), self.recurrent_projection(hidden).chunk(3, dim=-1)
        n = (n + (r + r_h).sigmoid() * n_h).tanh()
        return (n + (z + z_h).sigmoid() * (hidden - n),)

    def _fused(self, x: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, tuple[Tensor, ...]]:
        out, last = self.cell(x, state[0][None])
        return out, (last[0],)

    def _manual_projection(self, x: Tensor) -> Tensor:
        """Return the input products with their own bias: the reset gate acts on the recurrent product with its bias."""
        return self.input_projection(x)

    def _manual_steps(
        self, projected: Tensor, tokens: Tensor | None, state: tuple[Tensor, ...]
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        hidden, *_ = GRUSteps.apply(projected, tokens, self.cell.weight_hh_l0, self.cell.bias_hh_l0, *state)
        return hidden, (hidden[-1],)


@torch.no_grad()
def make_orthogonal(layer: Recurrence) -> None:
    """Initialise the recurrent matrix of each gate as a random orthogonal matrix (Saxe et al. 2013)."""
    _, recurrent, *_ = layer.cell.all_weights[0]
    for gate in recurrent.split(layer.cell.hidden_size):
        nn.init.orthogonal_(gate)


def embed(embedding: nn.Embedding, tokens: Tensor, dropout: nn.Dropout) -> Tensor | Lookup:
    """Return the input of a first layer: a lookup, or embeddings after dropout where that is active."""
    if dropout.p and dropout.training:
        return dropout(embedding(tokens))
    return Lookup(tokens, embedding.weight)


def run_layers(layers: nn.ModuleList, x: Tensor | Lookup, states: State, dropout: nn.Module) -> tuple[Tensor, State]:
    """Run a stack of layers on an input, each from its own state, with dropout between the layers."""
    first, *others = zip(layers, states, strict=True)
    hidden, state = first[0](x, first[1])
    new_states = [state]
    for layer, initial in others:
        hidden, state = layer(dropout(hidden), initial)
        new_states.append(state)
    return hidden, new_states


class RecurrentMixer(Mixer):
    """One recurrent layer as a mixer; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and state.
        kernel: as in :class:`Recurrence`.
    """

    reads_lookup = True
    recurrence: ClassVar[type[Recurrence]]
    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)
    reference: ClassVar[str] = "loop"

    def __init__(self, width: int, *, kernel: RecurrenceKernel = "auto") -> None:
        super().__init__()
        self.layer = self.recurrence(width, width, kernel)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to the hidden states ``[B, L, D]``."""
        return self.prefill(x, context)[0]

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the hidden states of :meth:`forward` and the last state."""
        return self.layer(context.lookup or x)

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros."""
        return self.layer.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        state = self.layer.update(self.layer.input_projection(x), state)
        return state[0], state
