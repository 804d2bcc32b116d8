"""Rotary positions: queries and keys are turned by an angle that grows with their position.

Su et al. 2021, "RoFormer", section 3.2, and equation 34 (section 3.4). The score of two positions then depends on their
distance alone. Channels are paired as halves, ``(i, i + E/2)``, like in GPT-NeoX and Llama; the paper pairs
neighbours, which is the same up to a fixed permutation of the channels.

A ``stretch`` above one lowers the frequencies, the slowest by that factor and the fastest not at all: the "NTK-aware"
scaling of the base (bloc97 2023; Peng et al. 2023, "YaRN", section 3.1), ``base' = base * stretch^(E / (E - 2))``.
"""

import torch
from torch import Tensor

from architectures.base import Context
from architectures.parts.positions.base import Encoding

BASE = 10000.0


class RoPE(Encoding):
    """Base 10000, all channels turned. The head width must be even."""

    in_attention = True

    def query(self, q: Tensor, context: Context) -> Tensor:
        """Turn the queries to their places."""
        return rotate(q, context.positions, context.stretch)

    def key(self, k: Tensor, context: Context) -> Tensor:
        """Turn the keys to their places."""
        return rotate(k, context.positions, context.stretch)


def rotate(x: Tensor, positions: Tensor, stretch: float = 1.0) -> Tensor:
    """Turn ``[B, H, L, E]`` by the angles of ``positions`` ``[L]``."""
    half = x.shape[-1] // 2
    base = BASE * stretch ** (half / max(half - 1, 1))
    frequency = torch.pow(base, -torch.arange(half, device=x.device) / half)
    angle = positions[:, None] * frequency  # [L, E/2]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
