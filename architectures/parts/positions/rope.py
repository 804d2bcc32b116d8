"""Rotary positions: queries and keys are turned by an angle that grows with their position.

Su et al. 2021, "RoFormer", section 3.2 (equation 34). The score of two positions then depends on their
distance alone. Channels are paired as halves, ``(i, i + E/2)``, like in GPT-NeoX and Llama; the paper pairs
neighbours, which is the same up to a fixed permutation of the channels.
"""

import torch
from torch import Tensor

from architectures.parts.positions.base import Encoding


class RoPE(Encoding):
    """Base 10000, all channels turned. The head width must be even."""

    in_attention = True

    def rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        """Turn ``[B, H, L, E]`` by the angles of ``positions``."""
        half = x.shape[-1] // 2
        frequency = torch.pow(10000.0, -torch.arange(half, device=x.device) / half)
        angle = positions[:, None] * frequency  # [L, E/2]
        cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
        first, second = x[..., :half], x[..., half:]
        return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
