"""A recurrent network with external memories: it reads one cell of each, then writes and moves by soft actions.

Stack and tape share this code (Deletang et al. 2023, "Neural Networks and the Chomsky Hierarchy", section 4). At every
step the controller reads its input and the cell under each memory's head. Its new hidden state gives a value to write
and a distribution over actions. The next memory is the mean of the results of all actions, weighted by their
probabilities. No action is sampled, so gradients pass through::

    h_t = core(x_t, read(M_{t-1}); h_{t-1})      a_t = softmax(W_a h_t)      M_t = sum_k a_t[k] * action_k(M_{t-1}, v_t)

A memory ``[B, M, cells, C]`` is indexed from its head and starts as one empty cell. Every step extends it by the cells
that the actions need. Its size is not a parameter and does not depend on the number of steps that follow.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, State
from architectures.parts.recurrence import GRULayer, LSTMLayer, Recurrence, RNNLayer

CoreName = Literal["rnn", "gru", "lstm"]

CORES: dict[str, type[Recurrence]] = {"rnn": RNNLayer, "gru": GRULayer, "lstm": LSTMLayer}


class ExternalMemory(Mixer):
    """A controller and its memories; a subclass defines how they are read and what the actions do.

    Args:
        width: channels ``D`` of input and controller.
        core: the controller.
        cell: channels ``C`` of a memory cell.
        memories: number ``M`` of memories, each with its own actions.
        actions: number ``A`` of actions.
        value: the map from hidden states ``[B, D]`` to the values written, ``[B, M * C]``.
    """

    reads_lookup = True
    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)

    def __init__(self, width: int, core: CoreName, cell: int, memories: int, actions: int, value: nn.Module) -> None:
        super().__init__()
        self.shape = (memories, 1, cell)
        self.core = CORES[core](width, width, "loop")
        gates, *_ = self.core.cell.all_weights[0]
        self.into_core = nn.Linear(memories * cell, gates.shape[0], bias=False)
        self.action = nn.Linear(width, memories * actions)
        self.value = value

    def read(self, memory: Tensor) -> Tensor:
        """Return the cell under each head, ``[B, M, C]``."""
        raise NotImplementedError

    def write(self, memory: Tensor, actions: Tensor, value: Tensor, jump: int) -> Tensor:
        """Return the next memory ``[B, M, more cells, C]``.

        Args:
            memory: ``[B, M, cells, C]``.
            actions: their probabilities, ``[B, M, A]``.
            value: ``[B, M, C]``.
            jump: the length of the source.
        """
        raise NotImplementedError

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to the controller's hidden states ``[B, L, D]``."""
        (inner, memory), hidden = self.start(x.shape[0], x), []
        for time, projected in enumerate(self.core.project_inputs(context.lookup or x).unbind(1), 1):
            inner, memory = self._advance(projected, (inner, memory), context.boundary)
            memory = self.within_reach(memory, x.shape[1] - time)
            hidden.append(inner[0])
        return torch.stack(hidden, dim=1)

    def within_reach(self, memory: Tensor, steps: int) -> Tensor:
        """Drop cells that a head cannot reach within ``steps`` more steps."""
        return memory

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros for the controller, and one empty cell for each memory."""
        return self.core.start(rows, like), like.new_zeros(rows, *self.shape)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        state = self._advance(self.core.input_projection(x), state, context.boundary)
        return state[0][0], state

    def _advance(self, projected: Tensor, state: State, jump: int) -> State:
        inner, memory = state
        inner = self.core.update(projected + self.into_core(self.read(memory).flatten(1)), inner)
        actions = self.action(inner[0]).unflatten(-1, (self.shape[0], -1)).softmax(dim=-1)
        value = self.value(inner[0]).unflatten(-1, (self.shape[0], -1))
        return inner, self.write(memory, actions, value, jump)


def superpose(memory: Tensor, actions: Tensor, starts: Sequence[int], cells: int) -> Tensor:
    """Return ``sum_k actions[..., k] * memory[..., starts[k] : starts[k] + cells, :]``, ``[B, M, cells, C]``.

    A sum of slices was faster on one CPU core than one matrix product over the stacked slices.
    """
    slices = [memory.narrow(-2, start, cells) for start in starts]
    weights = [action[..., None] for action in actions.split(1, dim=-1)]  # [B, M, 1, 1]
    out = weights[0] * slices[0]
    for weight, cell_slice in zip(weights[1:], slices[1:], strict=True):
        out = torch.addcmul(out, weight, cell_slice)
    return out
