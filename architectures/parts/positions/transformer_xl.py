"""Transformer-XL's relative positions: a query scores a key by what it holds, and separately by how far away it is.

Dai et al. 2019, "Transformer-XL: Attentive Language Models Beyond a Fixed-Length Context", section 3.3.

Glossary (paper <-> code):
    R_{i-j}   sinusoids of a distance     <-> sinusoids
    W_{k,R}   their way into key space    <-> distance
    u, v      what every query asks for   <-> content, place    [H, 1, E]

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
    """Defined at every distance, in both directions."""

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

        ``sin(i - j)`` and ``cos(i - j)`` are products of sines and cosines of ``i`` and of ``j``, so that a product of
        matrices does it and no vector is ever made for a pair of positions.
        """
        into = self.distance.weight.unflatten(0, (q.shape[1], -1))  # [H, E, D]
        sine, cosine = ((q - self.content + self.place) @ into).unflatten(-1, (-1, 2)).unbind(-1)  # of i - j
        here, there = (sinusoids(places, self.width).to(q.dtype) for places in (context.positions, keys))
        sine_here, cosine_here = here.unflatten(-1, (-1, 2)).unbind(-1)
        of_sine = cosine * sine_here - sine * cosine_here
        of_cosine = sine * sine_here + cosine * cosine_here
        return torch.stack((of_sine, of_cosine), dim=-1).flatten(-2) @ there.T / math.sqrt(q.shape[-1])
