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
        return turn(q, _shared_angles(q, context))

    def key(self, k: Tensor, context: Context) -> Tensor:
        """Rotate the keys by their positions."""
        return turn(k, _shared_angles(k, context))


def rotate(x: Tensor, positions: Tensor, scale: float = 1.0) -> Tensor:
    """Rotate ``[B, H, L, E]`` by the angles of ``positions`` ``[L]``."""
    return turn(x, angles(x, positions, scale))


def turn(x: Tensor, cos_and_sin: tuple[Tensor, Tensor]) -> Tensor:
    """Rotate ``[B, H, L, E]`` by :func:`angles`; ``roll`` exchanges the two channels of each pair."""
    cos, sin = cos_and_sin
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)


def angles(x: Tensor, positions: Tensor, scale: float = 1.0) -> tuple[Tensor, Tensor]:
    """Return cosines and signed sines for queries or keys ``[B, H, L, E]``, each ``[H, L, E]``.

    The first channel of a pair becomes ``x1 cos - x2 sin``, the second ``x2 cos + x1 sin``. The angles of all heads are
    equal. They are stored for each head, in the order of the channels of ``x``, so products run over contiguous memory.
    """
    half = x.shape[-1] // 2
    base = BASE * scale ** (half / max(half - 1, 1))
    frequency = torch.pow(base, -torch.arange(half, device=x.device) / half)
    angle = positions[:, None] * frequency  # [L, E/2]
    cos, sin = angle.cos().to(x.dtype), angle.sin().to(x.dtype)
    pairs = torch.cat((cos, cos), dim=-1), torch.cat((-sin, sin), dim=-1)
    return tuple(pair.repeat(1, x.shape[1]).unflatten(-1, (x.shape[1], -1)).transpose(0, 1) for pair in pairs)


def _shared_angles(x: Tensor, context: Context) -> tuple[Tensor, Tensor]:
    """Return the angles at ``context.positions``; the first layer of a forward pass computes them for all layers."""
    name = f"rope angles of {x.shape[1]} heads"
    positions, cos_and_sin = context.shared.get(name, (None, None))
    if positions is not context.positions or cos_and_sin[0].dtype != x.dtype:
        cos_and_sin = angles(x, context.positions, context.stretch)
        context.shared[name] = context.positions, cos_and_sin
    return cos_and_sin
