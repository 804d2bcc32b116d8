"""Starter: each channel keeps a moving average of its inputs, with a learned decay rate.

State the idea here and its source (the paper and the equation).

Glossary (paper <-> code):
    a    decay of the past             <-> keep   [D], in (0, 1)
    h_t  the moving average            <-> state  [B, D]

    h_t = a h_{t-1} + (1 - a) x_t,    y_t = W h_t
"""

import torch
from torch import Tensor, nn

from architectures.base import Context, Mixer, Positive, State


class Starter(Mixer):
    """An exponential moving average, then a linear map.

    Args:
        width: channels ``D``.
        memory: steps that the slowest channel remembers before training; the fastest remembers one.
    """

    def __init__(self, width: int, *, memory: Positive = 16) -> None:
        super().__init__()
        steps = torch.logspace(0, 1, width, base=float(memory))  # from 1 to `memory`
        self.rate = nn.Parameter(steps.log())  # keep = steps / (1 + steps)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``, one position after another."""
        state, outputs = self.start(x.shape[0], x), []
        for x_t in x.unbind(1):
            y, state = self.step(x_t, state, context)
            outputs.append(y)
        return torch.stack(outputs, dim=1)

    def start(self, rows: int, like: Tensor) -> State:
        """Return the state before the first position: zeros ``[B, D]``."""
        return like.new_zeros(rows, self.out.in_features)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Map one position ``[B, D]`` to its output ``[B, D]`` and the next state."""
        keep = self.rate.sigmoid()
        state = keep * state + (1 - keep) * x
        return self.out(state), state
