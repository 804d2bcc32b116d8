"""Sinusoidal positions: sines and cosines of geometrically spaced wavelengths, added to the embeddings.

Vaswani et al. 2017, "Attention Is All You Need", section 3.5:
``PE(pos, 2i) = sin(pos / 10000^(2i/D))``, ``PE(pos, 2i+1) = cos(pos / 10000^(2i/D))``.
"""

import torch
from torch import Tensor

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting


class Sinusoidal(Encoding):
    """Parameter-free and defined at every position. An odd width leaves out the last cosine."""

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.width = setting.width

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add the sinusoids of the positions."""
        return x + sinusoids(context.positions, self.width).to(x.dtype)


def sinusoids(positions: Tensor, width: int) -> Tensor:
    """Return the table ``[L, D]``, sines at even channels and cosines at odd ones."""
    even = torch.arange(0, width, 2, device=positions.device)
    angle = positions[:, None] * torch.pow(10000.0, -even / width)  # [L, D/2]
    return torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, :width]
