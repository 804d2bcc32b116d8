"""SplitMix64: a hash of 64-bit integers, used by the random streams of the harness and by tasks with hashed content.

Steele et al. 2014 ("Fast Splittable Pseudorandom Number Generators"). Products and sums of int64 tensors wrap around,
so results are exact and equal on CPU and GPU.
"""

import torch
from torch import Tensor

GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
"""Increment of the generator's counter, as a signed 64-bit integer."""

_MULTIPLIER_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MULTIPLIER_2 = 0x94D049BB133111EB - (1 << 64)


def shift_right(x: Tensor, bits: int) -> Tensor:
    """Shift int64 to the right and fill with zeros (torch fills with the sign bit)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def splitmix64(x: Tensor) -> Tensor:
    """Hash int64 to int64 with the finaliser of SplitMix64; every output bit depends on every input bit."""
    x = (x ^ shift_right(x, 30)) * _MULTIPLIER_1
    x = (x ^ shift_right(x, 27)) * _MULTIPLIER_2
    return x ^ shift_right(x, 31)


def hash_words(keys: Tensor, count: int, start: int = 0) -> Tensor:
    """Return ``count`` words of the generator seeded with each key, after skipping ``start``.

    Keys are int64 ``[B]``; words are long ``[B, count]`` in ``[0, 2^31)``.
    """
    counter = torch.arange(start + 1, start + 1 + count, device=keys.device) * GAMMA
    return shift_right(splitmix64(keys[:, None] + counter), 33)
