"""Tape-RNN: a recurrent network with a differentiable tape; each step mixes all moves of its head.

Deletang et al. 2023, "Neural Networks and the Chomsky Hierarchy", section 4 and the authors' code.

Glossary (paper <-> code):
    controller    <-> core
    memory        <-> memory     [B, M, cells, C], M tapes; the cell under the head in the middle
    actions       <-> actions    [B, M, 5]: write and then stay, go left, go right, jump left, jump right
    input length  <-> jump       the length of the source, ``context.boundary``

    M' = M_{t-1} with v_t in the cell under the head           v_t = MLP(h_t)
    M_t[i] = sum_k a_t[k] M'[i + d_k]                          d = 0, -1, 1, -jump, jump; i counted from the head

In the text of the paper jumps do not write; in its code, as here, every action does.

Differs from the authors' code: there the tape is a ring of a fixed size (256 cells in training, more in tests). Here it
is a line with ``jump + t`` cells on either side of the head after ``t`` steps. Single moves stay within these cells,
and so do a jump and the jump back. Cells that are further away after two jumps in one direction are dropped. The Elman
core has tanh instead of ReLU, there is no ReLU before the head, and the MLP is as wide as the model (64 there).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Positive
from architectures.parts.external_memory import CoreName, ExternalMemory, superpose


class TapeRNN(ExternalMemory):
    """One recurrent layer with tapes; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and hidden state.
        core: the controller: an Elman network, a GRU or an LSTM.
        cell: channels ``C`` of a tape cell.
        tapes: number of tapes, each with its own head.
    """

    def __init__(self, width: int, *, core: CoreName = "rnn", cell: Positive = 8, tapes: Positive = 1) -> None:
        inner = (nn.Linear(width, width), nn.ReLU(), nn.Linear(width, width), nn.ReLU())
        value = nn.Sequential(*inner, nn.Linear(width, tapes * cell))
        super().__init__(width, core, cell, tapes, actions=5, value=value)

    def read(self, memory: Tensor) -> Tensor:
        """Return the cell under each head."""
        return memory[..., memory.shape[-2] // 2, :]

    def write(self, memory: Tensor, actions: Tensor, value: Tensor, jump: int) -> Tensor:
        """Write, then move. The tape grows by one cell on either side, and by ``jump`` more at the first step."""
        side = memory.shape[-2] // 2
        new_side = max(side, jump) + 1
        margin = new_side + jump - side
        sides = F.pad(memory[..., :side, :], (0, 0, margin, 0)), F.pad(memory[..., side + 1 :, :], (0, 0, 0, margin))
        written = torch.cat((sides[0], value[..., None, :], sides[1]), dim=-2)
        starts = [jump + move for move in (0, -1, 1, -jump, jump)]
        return superpose(written, actions, starts, cells=2 * new_side + 1)
