"""FIRE: a small network turns a distance, measured against the query's own position, into a bias for each head.

Li et al. 2023, "Functional Interpolation for Relative Positions Improves Long Context Transformers".

Glossary (paper <-> code):
    psi(x) = log(|c| x + 1)    resolves short distances      <-> compress, with c = scale
    L      threshold of the normaliser                       <-> threshold
    f      a network with one hidden layer of 32             <-> network

    bias(i, j) = f(psi(i - j) / psi(max(i, L)))

Every distance is divided by the largest distance that the query has, so that unseen lengths are interpolated. ``c``
starts at 0.1 and ``L`` at 512, both learned, as in the paper's code listing (appendix); ``threshold`` multiplies a
fixed 512.

Differs from the paper: for keys after a query, which only bidirectional models have, the distance is ``|i - j|``.
"""

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting

HIDDEN, SCALE, THRESHOLD = 32, 0.1, 512.0
FLOOR = 1e-6
"""Avoids a division by zero at the first position if training makes the threshold zero."""


class FIRE(Encoding):
    """Defined at every position. All layers share the network."""

    in_attention = True
    bias_reads_queries = False

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.network = nn.Sequential(nn.Linear(1, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, setting.heads))
        self.scale = nn.Parameter(torch.tensor(SCALE))
        self.threshold = nn.Parameter(torch.tensor(1.0))

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the biases ``[H, Lq, Lk]``."""
        queries, keys = context.positions.to(q.dtype), keys.to(q.dtype)
        distance = (queries[:, None] - keys[None, :]).abs()
        farthest = torch.maximum(queries, (THRESHOLD * self.threshold).abs())[:, None]
        relative = self.compress(distance) / self.compress(farthest).clamp(min=FLOOR)
        return self.network(relative[..., None]).permute(2, 0, 1)

    def compress(self, x: Tensor) -> Tensor:
        """Return ``log(|c| x + 1)``."""
        return torch.log1p(self.scale.abs() * x)
