"""A temporal convolutional network: causal convolutions whose dilation grows from layer to layer.

Bai et al. 2018, "An Empirical Evaluation of Generic Convolutional and Recurrent Networks for Sequence Modeling",
section 3; dilations as in WaveNet (van den Oord et al. 2016).

Glossary (paper <-> code):
    k      filter size                          <-> window
    d      dilation, 2^i in layer i = 0, 1 ..   <-> dilation^i
    F      dilated convolution, equation 2      <-> Dilated
    x      input of a block's residual          <-> the residual of ``Block``

    F(t) = sum_{i < k} f(i) x_{t - d i}            a block is: F, ReLU, F, ReLU, with weights normalised per channel

The receptive field is finite. Each block has two convolutions, so that a model of ``depth`` layers reads

    1 + 2 (window - 1) (1 + dilation + ... + dilation^(depth - 1))

positions, 37 by default. It cannot read positions further back.

Differs from the paper: no ReLU after the residual sum, and dropout once in each block, not after each convolution.
"""

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Context, Mixer, Positive, State
from architectures.parts.short_convolution import last_positions


class Dilated(nn.Module):
    """A causal convolution with weights normalised per output channel (Salimans & Kingma 2016).

    It is initialised like ``nn.Conv1d``.

    Args:
        width: input and output channels ``D``.
        window: taps ``k``; ``direction[0]`` belongs to the oldest position.
    """

    def __init__(self, width: int, window: int) -> None:
        super().__init__()
        bound = (window * width) ** -0.5
        self.direction = nn.Parameter(torch.empty(window, width, width).uniform_(-bound, bound))  # [k, in, out]
        self.size = nn.Parameter(self.direction.detach().norm(dim=(0, 1)))
        self.bias = nn.Parameter(torch.empty(width).uniform_(-bound, bound))
        self.window, self.dilation = window, 1

    @property
    def past(self) -> int:
        """The number of previous positions that an output depends on."""
        return (self.window - 1) * self.dilation

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return self._mix(F.pad(x, (0, 0, self.past, 0)), x.shape[1])

    def start(self, rows: int, like: Tensor) -> Tensor:
        """Return the window before the first position, zeros ``[B, past, D]``."""
        return like.new_zeros(rows, self.past, len(self.bias))

    def step(self, x: Tensor, window: Tensor) -> tuple[Tensor, Tensor]:
        """Feed one position ``[B, D]``; return its output and the next window."""
        extended = torch.cat((window, x[:, None]), dim=1)
        return self._mix(extended, 1)[:, 0], extended[:, 1:]

    def _mix(self, padded: Tensor, length: int) -> Tensor:
        weight = self.size * self.direction / self.direction.norm(dim=(0, 1))
        taps = [padded[:, offset : offset + length] for offset in range(0, self.past + 1, self.dilation)]
        return torch.cat(taps, dim=-1) @ weight.flatten(0, 1) + self.bias


class CNN(Mixer):
    """One block of the network: two dilated convolutions and a residual, without norms or feed-forward.

    Args:
        width: channels ``D``.
        window: taps of a convolution.
        dilation: distance between taps in the second layer; layer ``i``, from 0, has ``dilation^i``.
    """

    native: ClassVar[Block] = Block(norm="none", feed_forward=None)

    def __init__(self, width: int, *, window: Positive = 7, dilation: Positive = 2) -> None:
        super().__init__()
        self.base = dilation
        self.first, self.second = Dilated(width, window), Dilated(width, window)

    def initialize(self, layer: int, depth: int) -> None:
        """Set the dilation of this layer."""
        self.first.dilation = self.second.dilation = self.base**layer

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to ``[B, L, D]``."""
        return F.relu(self.second(F.relu(self.first(x))))

    def prefill(self, x: Tensor, context: Context) -> tuple[Tensor, State]:
        """Return the outputs of :meth:`forward` and the last inputs of both convolutions."""
        inner = F.relu(self.first(x))
        windows = last_positions(x, self.first.past), last_positions(inner, self.second.past)
        return F.relu(self.second(inner)), windows

    def start(self, rows: int, like: Tensor) -> State:
        """Return zeros: the windows of both convolutions."""
        return self.first.start(rows, like), self.second.start(rows, like)

    def step(self, x: Tensor, state: State, context: Context) -> tuple[Tensor, State]:
        """Apply the block to one position."""
        x, first = self.first.step(x, state[0])
        x, second = self.second.step(F.relu(x), state[1])
        return F.relu(x), (first, second)
