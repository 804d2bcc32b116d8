"""Starter: every channel keeps a moving average of what it has seen, and forgets at a rate of its own.

Say here what the idea is and where it comes from (the paper and the equation).

Glossary (paper <-> code):
    a    how much of the past is kept  <-> keep   [D], in (0, 1)
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
        memory: how many steps the slowest channel remembers at first; the fastest remembers one.
    """

    def __init__(self, width: int, *, memory: Positive = 16) -> None:
        super().__init__()
        steps = torch.logspace(0, 1, width, base=float(memory))  # 1 to `memory`
        self.rate = nn.Parameter(steps.log())  # keep = steps / (1 + steps)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``, one position after another."""
        state, outputs = self.start(x.shape[0], x), []
        for each in x.unbind(1):
            y, state = self.step(each, state, context)
            outputs.append(y)
        return torch.stack(outputs, dim=1)

    def start(self, rows: int, like: Tensor) -> State:
        """Nothing seen yet: zeros ``[B, D]``."""
        return like.new_zeros(rows, self.out.in_features)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Take in one position ``[B, D]``."""
        keep = self.rate.sigmoid()
        state = keep * state + (1 - keep) * x
        return self.out(state), state
