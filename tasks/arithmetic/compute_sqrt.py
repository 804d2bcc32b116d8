"""Compute sqrt: the root of a binary number, every bit of which depends on all the higher ones.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), compute sqrt, a context-sensitive task. As in the
paper numbers are written with the units first; the authors' code writes them last.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.arithmetic._binary import positive
from tasks.base import Stream, Task

LIMB = 30
"""Bits of one element of a long number, so that two of them add and shift within an int64."""


class ComputeSqrt(Task):
    """Write the floor of the square root of a binary number, the units first.

    The length is that of the number, which is uniform from 1 to what its places hold. The root has half as many places,
    rounded up, with zeros at the end where it needs fewer.

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
        return positive(size, length, stream).squeeze(1)

    def solve(self, source: Tensor) -> Tensor:
        """Find the root digit by digit."""
        padded = F.pad(source, (0, source.shape[1] % 2))
        return floor_sqrt(padded[:, ::2] + 2 * padded[:, 1::2])


def floor_sqrt(digits: Tensor) -> Tensor:
    """Return the bits of the root, ``[B, N]``, of numbers in base 4, ``[B, N]``; units first in both.

    The method of written roots. From the highest digit on, the rest is shifted and gets the digit. With the root ``r``
    so far, its next bit is 1 where ``4 r + 1``, the trial, fits into the rest, and is taken away there.
    """
    limbs = (digits.shape[1] + 4) // LIMB + 1
    rest, trial = digits.new_zeros(2, len(digits), limbs).unbind(0)
    trial = trial + F.pad(torch.ones_like(digits[:, :1]), (0, limbs - 1))
    root = []
    for digit in digits.flip(1).split(1, dim=1):
        rest = _shift(rest, 2, digit)
        difference, fits = _subtract(rest, trial)
        rest = torch.where(fits, difference, rest)
        trial = _shift(trial, 1, 4 * fits.long() - 1)
        root.append(fits)
    return torch.cat(root, dim=1).long().flip(1)


def _shift(number: Tensor, bits: int, units: Tensor) -> Tensor:
    """Shift ``[B, L]`` limbs up and add ``units``, ``[B, 1]``, which must not carry."""
    carry = F.pad(number[:, :-1] >> (LIMB - bits), (1, 0))
    shifted = ((number << bits) & ((1 << LIMB) - 1)) | carry
    return torch.cat((shifted[:, :1] + units, shifted[:, 1:]), dim=1)


def _subtract(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Return ``a - b``, limbs ``[B, L]``, and whether it is not negative, bool ``[B, 1]``.

    What the limbs up to a place borrow from the next is decided by the highest of them that differ.
    """
    difference = a - b
    place = torch.arange(a.shape[1], device=a.device)
    decided = torch.where(difference == 0, -2, 2 * place + (difference < 0))  # place and borrow in one number
    borrow = decided.cummax(dim=1).values & 1
    settled = (difference - F.pad(borrow[:, :-1], (1, 0))) & ((1 << LIMB) - 1)
    return settled, borrow[:, -1:] == 0
