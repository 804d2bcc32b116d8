"""FIRE: a small network turns a distance, measured against the query's own position, into a bias for each head.

Li et al. 2023, "Functional Interpolation for Relative Positions Improves Long Context Transformers".

Glossary (paper <-> code):
    psi(x) = log(|c| x + 1)    makes near distances finer    <-> compress, with c = scale
    L      threshold of the normaliser                       <-> threshold
    f      a network with one hidden layer of 32             <-> network

    bias(i, j) = f(psi(i - j) / psi(max(i, L)))

As every distance is divided by the farthest that the query has, unseen lengths are interpolated. ``c`` starts at 0.1
and ``L`` at 512, both learned, as in the paper's code listing (appendix); ``L`` multiplies a fixed 512.

Differs from the paper: keys after a query, which only models that look both ways have, count by ``|i - j|``.
"""

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting

HIDDEN, SCALE, THRESHOLD = 32, 0.1, 512.0
FLOOR = 1e-6
"""Keeps the first position's distance to itself a number where the threshold has been trained to nothing."""


class FIRE(Encoding):
    """Defined at every position. All layers share the network."""

    in_attention = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.network = nn.Sequential(nn.Linear(1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, setting.heads))
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the biases ``[H, Lq, Lk]``."""
        places, keys = context.positions.to(q.dtype), keys.to(q.dtype)
        distance = (places[:, None] - keys[None, :]).abs()
        farthest = torch.maximum(places, (THRESHOLD * self.threshold).abs())[:, None]
        relative = self.compress(distance) / self.compress(farthest).clamp(min=FLOOR)
        return self.network(relative[..., None]).permute(2, 0, 1)

    def compress(self, x: Tensor) -> Tensor:
        """Return ``log(|c| x + 1)``."""
        return torch.log1p(self.scale.abs() * x)
