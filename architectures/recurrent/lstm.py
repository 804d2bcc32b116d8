"""LSTM: gates decide what a cell forgets, takes in and shows.

Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; forget gates by Gers et al. 2000.

Glossary (paper <-> code, the equations are in ``parts/recurrence.py``):
    c_t  cell state       <-> cell      [B, D]
    h_t  hidden state     <-> hidden    [B, D]
    i, f, o  gates        <-> i, f, o   (order of the stacked weights: i, f, g, o)
    g    candidate        <-> g

Differs from the paper: no peepholes, and torch's two bias vectors, so that the fused kernel takes the same weights.
"""

from typing import ClassVar

from torch import Tensor

from architectures.base import Block, Context, Mixer, State
from architectures.parts.recurrence import LSTMLayer, RecurrenceKernel


class LSTM(Mixer):
    """One LSTM layer; stacked bare, without norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input, hidden and cell state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused one except in a population, where torch cannot batch it.
    """

    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)
    reference: ClassVar[str] = "loop"

    def __init__(self, width: int, *, kernel: RecurrenceKernel = "auto") -> None:
        super().__init__()
        self.layer = LSTMLayer(width, width, kernel)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to the hidden states ``[B, L, D]``."""
        return self.layer(x)[0]

    def start(self, rows: int, like: Tensor) -> State:
        """Zeros for (hidden, cell)."""
        return self.layer.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the equations to one position."""
        state = self.layer.update(self.layer.drive(x), state)
        return state[0], state
