"""Stack-RNN: a recurrent network with a differentiable stack; each step mixes push, pop and no-op.

Joulin & Mikolov 2015, "Inferring Algorithmic Patterns with Stack-Augmented Recurrent Nets", section 4.2, in the form of
Deletang et al. 2023, "Neural Networks and the Chomsky Hierarchy", section 4 and the authors' code.

Glossary (paper <-> code):
    h_t   hidden state                       <-> hidden state of ``core``   [B, D]
    a_t   probabilities of push, pop, no-op  <-> actions    [B, M, 3], M stacks
    s_t   stack, its top first               <-> memory     [B, M, cells, C]
    P     map from the top to the core       <-> into_core
    A, D  actions and pushed value           <-> action, value

    s_t[0] = a[push] v_t + a[pop] s_{t-1}[1] + a[no-op] s_{t-1}[0]
    s_t[i] = a[push] s_{t-1}[i-1] + a[pop] s_{t-1}[i+1] + a[no-op] s_{t-1}[i]        for i > 0

As in Deletang et al., only the top is read, a cell holds a vector and ``v_t`` is linear in ``h_t``. Joulin & Mikolov
read the two topmost cells, push ``sigmoid(D h_t)`` and mark the bottom by -1; here the bottom is zeros.

Differs from Deletang et al.: the stack has a cell for every step so far instead of a fixed number, and the head is
linear, without a ReLU before it. Differs from both: the Elman core has tanh instead of ReLU or sigmoid.
"""

import torch
from torch import Tensor, nn

from architectures.base import Positive
from architectures.parts.external_memory import CoreName, ExternalMemory, superpose


class StackRNN(ExternalMemory):
    """One recurrent layer with stacks; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and hidden state.
        core: the controller: an Elman network, a GRU or an LSTM.
        cell: channels ``C`` of a stack cell.
        stacks: number of stacks, each with its own actions.
    """

    def __init__(self, width: int, *, core: CoreName = "rnn", cell: Positive = 8, stacks: Positive = 1) -> None:
        super().__init__(width, core, cell, stacks, actions=3, value=nn.Linear(width, stacks * cell))

    def read(self, memory: Tensor) -> Tensor:
        """Return the top cell of each stack."""
        return memory[..., 0, :]

    def within_reach(self, memory: Tensor, steps: int) -> Tensor:
        """Keep the top ``steps`` cells, because a step removes at most one cell."""
        return memory[..., : max(steps, 1), :]

    def write(self, memory: Tensor, actions: Tensor, value: Tensor, jump: int) -> Tensor:
        """Mix push, pop and no-op. The stack grows by one cell, and its last cell is always empty."""
        cells = memory.shape[-2] + 1
        below = torch.zeros_like(memory[..., :1, :])
        pushed = torch.cat((value[..., None, :], memory, below, below), dim=-2)
        return superpose(pushed, actions, starts=(0, 2, 1), cells=cells)
