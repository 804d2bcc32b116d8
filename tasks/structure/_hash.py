"""A hash of integers: the same numbers for the same key, and no way to learn them."""

import torch
from torch import Tensor


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (int64 shifts fill with the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Hash int64 to int64: the finaliser of SplitMix64 (Steele et al. 2014) with wrapping products."""
    x = (x ^ _shift(x, 30)) * (0xBF58476D1CE4E5B9 - (1 << 64))
    x = (x ^ _shift(x, 27)) * (0x94D049BB133111EB - (1 << 64))
    return x ^ _shift(x, 31)


def words(key: Tensor, count: int) -> Tensor:
    """Return ``count`` numbers below 2^31 for each key: ``[B]`` to ``[B, count]``."""
    counter = torch.arange(1, count + 1, device=key.device) * (0x9E3779B97F4A7C15 - (1 << 64))
    return _shift(mix(key[:, None] + counter), 33)
