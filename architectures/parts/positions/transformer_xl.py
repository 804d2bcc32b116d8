"""Transformer-XL's relative positions: the score of a key is a content term plus a distance term.

Dai et al. 2019, "Transformer-XL: Attentive Language Models Beyond a Fixed-Length Context", section 3.3.

Glossary (paper <-> code):
    R_{i-j}   sinusoids of a distance     <-> sinusoids
    W_{k,R}   their map to key space      <-> distance
    u, v      biases of every query       <-> content, place    [H, 1, E]

    score(i, j) = (q_i + u) . k_j + (q_i + v) . W_{k,R} R_{i-j}        (both scaled by 1/sqrt(E))

Differs from the paper: no recurrence over segments; all layers share ``W_{k,R}``, as they share ``u`` and ``v``.
"""

import math

import torch
from torch import Tensor, nn

from architectures.base import Context
from architectures.parts.positions.base import Encoding, Setting
from architectures.parts.positions.sinusoidal import sinusoids


class TransformerXL(Encoding):
    """An encoding that is defined at every distance, in both directions."""

    no_weight_decay = ("content", "place")

    in_attention = True

    def __init__(self, setting: Setting) -> None:
        super().__init__(setting)
        self.width = setting.width
        self.distance = nn.Linear(setting.width, setting.width, bias=False)
        shape = (setting.heads, 1, setting.width // setting.heads)
        self.content, self.place = (nn.Parameter(torch.zeros(shape)) for _ in range(2))

    def query(self, q: Tensor, context: Context) -> Tensor:
        """Add ``u``."""
        return q + self.content

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor:
        """Return the second term, ``[B, H, Lq, Lk]``.

        ``sin(i - j)`` and ``cos(i - j)`` are sums of products of sines and cosines of ``i`` and of ``j``. One matrix
        product is therefore enough, and no vector is stored for a pair of positions.
        """
        key_map = self.distance.weight.unflatten(0, (q.shape[1], -1))  # [H, E, D]
        # The query's coefficients of sin(i - j) and cos(i - j).
        sine, cosine = ((q - self.content + self.place) @ key_map).unflatten(-1, (-1, 2)).unbind(-1)
        of_queries, of_keys = (sinusoids(position, self.width).to(q.dtype) for position in (context.positions, keys))
        sine_i, cosine_i = of_queries.unflatten(-1, (-1, 2)).unbind(-1)
        # Its coefficients of sin(j) and cos(j), by the angle difference identities.
        sine_j = cosine * sine_i - sine * cosine_i
        cosine_j = sine * sine_i + cosine * cosine_i
        return torch.stack((sine_j, cosine_j), dim=-1).flatten(-2) @ of_keys.T / math.sqrt(q.shape[-1])
