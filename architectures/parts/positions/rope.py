"""Rotary positions: queries and keys are rotated by an angle proportional to their position.

Su et al. 2021, "RoFormer", section 3.2, and equation 34 (section 3.4). The score of two positions then depends on their
distance only. Channels are paired as halves, ``(i, i + E/2)``, as in GPT-NeoX and Llama. The paper pairs adjacent
channels, which is the same up to a fixed permutation.

A ``scale`` above one lowers the frequencies, the slowest by that factor and the fastest not at all. This is the
"NTK-aware" scaling of the base (bloc97 2023; Peng et al. 2023, "YaRN", section 3.1):
``base' = base * scale^(E / (E - 2))``.
"""

import torch
from torch import Tensor

from architectures.base import Context
from architectures.parts.positions.base import Encoding

BASE = 10000.0


class RoPE(Encoding):
    """Rotation of all channels with base 10000. The head width must be even."""

    in_attention = True

    def query(self, q: Tensor, context: Context) -> Tensor:
        """Rotate the queries by their positions."""
        return rotate(q, context.positions, context.stretch)

    def key(self, k: Tensor, context: Context) -> Tensor:
        """Rotate the keys by their positions."""
        return rotate(k, context.positions, context.stretch)


def rotate(x: Tensor, positions: Tensor, scale: float = 1.0) -> Tensor:
    """Rotate ``[B, H, L, E]`` by the angles of ``positions`` ``[L]``."""
    half = x.shape[-1] // 2
    base = BASE * scale ** (half / max(half - 1, 1))
    frequency = torch.pow(base, -torch.arange(half, device=x.device) / half)
    angle = positions[:, None] * frequency  # [L, E/2]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    first, second = x[..., :half], x[..., half:]
    return torch.cat((first * cos - second * sin, second * cos + first * sin), dim=-1)
