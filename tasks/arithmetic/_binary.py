"""Binary numbers of any size, the units first: to draw, and to read from and write into questions of two of them.

Deletang et al. 2023: a question of ``length`` tokens is two numbers with a sign between them. How many places each has
is a uniform split of ``length - 1``; their values are uniform from 1 to what their places hold, so that the last bits
of a number may be zeros.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.ending import closed

SIGN, END = 2, 3
"""Tokens of the sign and of what closes an answer, after the bits."""

DRAWN = 16
"""Places drawn as one number, so that it is not zero: the longer ones are uniform up to a share of ``2 ** -16``."""


def positive(size: Tensor, width: int, stream: Stream) -> Tensor:
    """Draw numbers from 1 to ``2 ** size - 1``, long ``[B, K, width]``, for sizes ``[B, K]``; beyond them anything."""
    low = 1 + stream.integers((1 << size.clamp(max=DRAWN)) - 1, size.shape[1])
    place = torch.arange(width, device=stream.device)
    fair = stream.integers(2, size.shape[1], width)
    return torch.where(place < DRAWN, (low[..., None] >> place.clamp(max=DRAWN - 1)) & 1, fair)


def draw_operands(length: int, stream: Stream) -> Tensor:
    """Draw questions, long ``[B, length]``."""
    middle = 1 + stream.integers(length - 2, 1)
    a, b = positive(torch.cat((middle, length - 1 - middle), dim=1), length, stream).unbind(1)
    place = torch.arange(length, device=stream.device)
    shifted = b.gather(1, (place - middle - 1).clamp(min=0))
    return torch.where(place < middle, a, shifted).masked_fill(place == middle, SIGN)


def read_operands(source: Tensor) -> tuple[Tensor, Tensor]:
    """Return both numbers of questions ``[B, N]``, each ``[B, N]``."""
    middle = (source == SIGN).long().argmax(dim=1, keepdim=True)
    place = torch.arange(source.shape[1], device=source.device)
    behind = middle + 1 + place
    b = source.gather(1, behind.clamp(max=source.shape[1] - 1))
    return source.masked_fill(place >= middle, 0), b.masked_fill(behind >= source.shape[1], 0)


def write_number(bits: Tensor) -> Tensor:
    """Write positive numbers ``[B, N]`` up to their highest bit, closed; ``[B, N]``, so one place must be free."""
    place = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    return closed(bits, (bits * place).amax(dim=1, keepdim=True), END)
