"""Binary numbers of any size, least significant bit first: draw, read and write sources with two operands.

Deletang et al. 2023: a source of ``length`` tokens is two numbers with a sign between them. Their sizes are a uniform
split of ``length - 1``. The values are uniform from 1 to the largest number of that size, so the last bits of a number
may be zeros.
"""

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.end_token import append_end

SIGN, END = 2, 3
"""Ids of the sign and of the end token, which follow the bits."""

LOW_BITS = 16
"""Number of low bits that are drawn as one positive number, so that no number is zero.

Longer numbers whose low bits are all zero, a fraction of ``2 ** -16``, are therefore never drawn.
"""


def draw_positive(size: Tensor, width: int, stream: Stream) -> Tensor:
    """Draw numbers from 1 to ``2 ** size - 1`` for sizes ``[B, K]``.

    Bits are long ``[B, K, width]``; those beyond the size are arbitrary.
    """
    low = 1 + stream.integers((1 << size.clamp(max=LOW_BITS)) - 1, size.shape[1])
    position = torch.arange(width, device=stream.device)
    fair = stream.integers(2, size.shape[1], width)
    return torch.where(position < LOW_BITS, (low[..., None] >> position.clamp(max=LOW_BITS - 1)) & 1, fair)


def draw_operands(length: int, stream: Stream) -> Tensor:
    """Draw sources, long ``[B, length]``."""
    middle = 1 + stream.integers(length - 2, 1)
    a, b = draw_positive(torch.cat((middle, length - 1 - middle), dim=1), length, stream).unbind(1)
    position = torch.arange(length, device=stream.device)
    shifted = b.gather(1, (position - middle - 1).clamp(min=0))
    return torch.where(position < middle, a, shifted).masked_fill(position == middle, SIGN)


def read_operands(source: Tensor) -> tuple[Tensor, Tensor]:
    """Return both numbers of sources ``[B, N]``, each ``[B, N]``."""
    middle = (source == SIGN).long().argmax(dim=1, keepdim=True)
    position = torch.arange(source.shape[1], device=source.device)
    second = middle + 1 + position
    b = source.gather(1, second.clamp(max=source.shape[1] - 1))
    return source.masked_fill(position >= middle, 0), b.masked_fill(second >= source.shape[1], 0)


def write_number(bits: Tensor) -> Tensor:
    """Write positive numbers ``[B, N]`` up to their highest bit, then the end token.

    The result is ``[B, N]``, so the last bit of each number must be zero.
    """
    position = torch.arange(1, bits.shape[1] + 1, device=bits.device)
    return append_end(bits, (bits * position).amax(dim=1, keepdim=True), END)
