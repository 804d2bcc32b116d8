"""Normalizers of attention: from the scores ``z`` of a query with the keys that it sees to weights of the values.

===============  ==================================================================  ================================
name             weights                                                             source
===============  ==================================================================  ================================
softmax          ``exp(z_j) / sum_m exp(z_m)``                                       Vaswani et al. 2017
sink             ``exp(z_j) / (exp(s) + sum_m exp(z_m))``, ``s`` learned             Xiao et al. 2023; OpenAI 2025
entmax           ``max(z_j / 2 - tau, 0)^2``, ``tau`` such that they sum to one      Peters et al. 2019, alpha = 1.5
stick_breaking   ``sigmoid(z_j) prod_{j < m < i} (1 - sigmoid(z_m))``, ``j < i``     Tan et al. 2024
===============  ==================================================================  ================================

A softmax over more keys is flatter: with bounded scores every weight tends to zero as the number of keys grows. Entmax
gives most keys the weight zero. Stick-breaking gives a later key its share first. What is left of the stick is the
weight of the query's own position, as in the authors' tests.

All functions take scores ``[..., Lq, Lk]`` and a mask bool ``[Lq, Lk]``, true where a query sees a key. Queries are the
last positions, so the last key that a query sees is its own.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return weights that sum to one in each row."""
    return scores.masked_fill(~mask, -math.inf).softmax(-1)


def softmax_with_sink(scores: Tensor, mask: Tensor, sink: Tensor) -> Tensor:
    """Return weights of which the score ``sink`` ``[H]`` takes a part; they sum to less than one.

    Scores are ``[B, H, Lq, Lk]``.
    """
    column = sink[:, None, None].expand(*scores.shape[:-1], 1)
    return torch.cat((column, scores.masked_fill(~mask, -math.inf)), dim=-1).softmax(-1)[..., 1:]


def entmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Return sparse weights that sum to one: 1.5-entmax (Peters et al. 2019, algorithm 2).

    The threshold of a row is a function of the scores above it. Sorting finds which these are, without gradients. Their
    mean and mean square then give the threshold, through which gradients flow.
    """
    halves = scores.masked_fill(~mask, -math.inf) / 2
    halves = halves - halves.detach().amax(-1, keepdim=True)  # the weights do not change, and squares stay small
    with torch.no_grad():
        support = halves > _threshold(halves)
    kept = halves.masked_fill(~support, 0.0)
    count = support.sum(-1, keepdim=True)
    mean, square = kept.sum(-1, keepdim=True) / count, kept.square().sum(-1, keepdim=True) / count
    threshold = mean - ((1 - count * (square - mean.square())) / count).clamp(min=0).sqrt()
    return (kept - threshold).masked_fill(~support, 0.0).square()


def _threshold(halves: Tensor) -> Tensor:
    """Return the threshold of each row ``[..., 1]``: that of the largest set of top scores that all exceed it."""
    ordered = halves.sort(dim=-1, descending=True).values
    finite = ordered.isfinite()
    ordered = ordered.masked_fill(~finite, 0.0)
    count = torch.arange(1, halves.shape[-1] + 1, device=halves.device, dtype=halves.dtype)
    mean, square = ordered.cumsum(-1) / count, ordered.square().cumsum(-1) / count
    thresholds = mean - ((1 - count * (square - mean.square())) / count).clamp(min=0).sqrt()
    size = ((thresholds <= ordered) & finite).sum(-1, keepdim=True)
    return thresholds.gather(-1, (size - 1).clamp(min=0))  # a row of NaN has none


def stick_breaking(scores: Tensor, mask: Tensor) -> Tensor:
    """Return weights that sum to one: each key before the query takes a share of what later keys have left."""
    own = torch.zeros_like(mask)
    own.diagonal(mask.shape[1] - mask.shape[0]).fill_(True)
    earlier = mask & ~own
    left = F.logsigmoid(-scores).masked_fill(~earlier, 0.0)  # the logarithm of what a key leaves
    left_by_later = left.sum(-1, keepdim=True) - left.cumsum(-1)
    weights = (F.logsigmoid(scores) + left_by_later).exp().masked_fill(~earlier, 0.0)
    rest = 1 - weights.sum(-1, keepdim=True)
    return torch.where(own, rest, weights)
