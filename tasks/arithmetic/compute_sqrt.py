"""Compute sqrt: write the square root of a binary number; every bit of it depends on all higher ones.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), compute sqrt, a context-sensitive task. As in the
paper, numbers are written with the units first; the authors' code writes them last.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic._binary import draw_positive
from tasks.base import Stream, Task

LIMB = 30
"""Number of bits in one element of a long number; sums and shifts of elements then fit into an int64."""


class ComputeSqrt(Task):
    """Write the floor of the square root of a binary number, the units first.

    The length is that of the number, which is uniform from 1 to the largest one of its size. The root has half as many
    bits, rounded up, with zeros at the end if it needs fewer.

    Examples:
        1 0 1 0 0 1 -> 0 1 1        (37 has 6)
        1 1 1 -> 0 1                (7 has 2)
        1 0 0 0 0 -> 1 0 0
        0 0 1 0 0 0 0 1 -> 1 1 0 1  (132 has 11)
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a positive number."""
        size = torch.full((stream.rows, 1), length, device=stream.device)
        return draw_positive(size, length, stream).squeeze(1)

    def solve(self, source: Tensor) -> Tensor:
        """Compute the root of the number in base 4 bit by bit."""
        padded = F.pad(source, (0, source.shape[1] % 2))
        return floor_sqrt(padded[:, ::2] + 2 * padded[:, 1::2])


def floor_sqrt(digits: Tensor) -> Tensor:
    """Return the bits of the root, ``[B, N]``, of numbers in base 4, ``[B, N]``; units first in both.

    This is the written method. From the highest digit on, the remainder is shifted and the digit is appended to it.
    With the root ``r`` so far, its next bit is 1 if the trial ``4 r + 1`` fits into the remainder, which then loses it.
    """
    limbs = (digits.shape[1] + 4) // LIMB + 1
    remainder, trial = digits.new_zeros(2, len(digits), limbs).unbind(0)
    trial = trial + F.pad(torch.ones_like(digits[:, :1]), (0, limbs - 1))
    root = []
    for digit in digits.flip(1).split(1, dim=1):
        remainder = _shift(remainder, 2, digit)
        difference, fits = _subtract(remainder, trial)
        remainder = torch.where(fits, difference, remainder)
        trial = _shift(trial, 1, 4 * fits.long() - 1)
        root.append(fits)
    return torch.cat(root, dim=1).long().flip(1)


def _shift(number: Tensor, bits: int, units: Tensor) -> Tensor:
    """Shift limbs ``[B, L]`` up by ``bits`` and add ``units``, ``[B, 1]``, which must not cause a carry."""
    carry = F.pad(number[:, :-1] >> (LIMB - bits), (1, 0))
    shifted = ((number << bits) & ((1 << LIMB) - 1)) | carry
    return torch.cat((shifted[:, :1] + units, shifted[:, 1:]), dim=1)


def _subtract(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``a - b``, limbs ``[B, L]``, and whether it is not negative, bool ``[B, 1]``.

    The borrow of the lowest limbs from the next one depends only on the highest of them that differ.
    """
    difference = a - b
    index = torch.arange(a.shape[1], device=a.device)
    decided = torch.where(difference == 0, -2, 2 * index + (difference < 0))  # index and borrow in one number
    borrow = decided.cummax(dim=1).values & 1
    limbs = (difference - F.pad(borrow[:, :-1], (1, 0))) & ((1 << LIMB) - 1)
    return limbs, borrow[:, -1:] == 0
