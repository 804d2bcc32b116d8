"""Log-linear attention: a linear recurrence that keeps several states, one for each range of ages, and weights them.

Guo et al. 2025, "Log-Linear Attention", section 3. The past of a position is cut as in a Fenwick tree, into ranges
whose lengths are powers of two: the older, the longer. Each range, or *level*, has its own state. A query reads all of
them, with a weight ``lambda`` for each level. Where all weights are one, the sum of the states is the state of the
linear recurrence.

The level of key s for the query t is the number of binary digits of ``t xor s``: 0 for the query's own position. Before
position t is added, full ranges merge into a longer one, as the carry of a binary counter moves.

    recurrent   all states step by step
    parallel    the scores of all pairs, each times the weight of its level
    chunked     parallel inside chunks of 32 positions; levels of whole chunks from chunk to chunk

Here the last level holds everything that is older. With n levels the weights of all levels are trained as soon as
sequences are longer than ``2^(n-2)``, and a longer sequence needs no level that was never trained. With more levels
than a sequence uses, this is the paper's.

Shapes, where ``...`` is batch and heads: queries and keys ``[..., L, E]``, values ``[..., L, V]``, weights
``[..., L, n]``, states ``[..., n, E, V]``. A :class:`Rule` is the recurrence; ``others`` are its further arguments, the
decay or beta and decay, ``[..., L, 1]`` each.
"""

from collections.abc import Callable
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.parts.scans import decay, delta

CHUNK = 32
"""Positions in a chunk, a power of two."""


class Block(NamedTuple):
    """What a block of ``c`` positions does, as matrices that multiply values or the state ``S`` that enters it.

    ``scores @ v + reads @ S`` is what queries read, ``transition @ S + ends @ v`` the state after the block.
    """

    scores: Tensor
    reads: Tensor
    ends: Tensor
    transition: Tensor


class Rule(NamedTuple):
    """A linear recurrence: ``update(S, k, v, *others)`` for one position, ``block(q, k, *others)`` for several."""

    update: Callable[..., Tensor]
    block: Callable[..., Block]


def decay_block(q: Tensor, k: Tensor, log_decay: Tensor) -> Block:
    """Return the block of ``scans/decay.py`` with one decay for all rows."""
    scores, reads, ends, total = decay.block(q, k, log_decay)
    kept = torch.diag_embed(total.exp()[..., 0, :].expand(*total.shape[:-2], k.shape[-1]))
    return Block(scores, reads, ends.transpose(-1, -2), kept)


def delta_block(q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor) -> Block:
    """Return the block of ``scans/delta.py``, whose docstring has the equations of the corrections."""
    beta_k, decays, since = beta * k, decay.between(log_decay).exp(), log_decay.cumsum(-2).exp()
    key_scores, query_scores = ((x @ beta_k.transpose(-1, -2)) * decays for x in (k, q))
    one = torch.eye(k.shape[-2], dtype=k.dtype, device=k.device).expand_as(key_scores)
    corrections = delta.solve(key_scores, one)
    slope, last = corrections @ (since * k), (beta_k * decays[..., -1, :, None]).transpose(-1, -2)
    kept = torch.diag_embed(since[..., -1, :].expand_as(k[..., -1, :]))
    return Block(query_scores @ corrections, since * q - query_scores @ slope, last @ corrections, kept - last @ slope)


DECAY, DELTA = Rule(decay.update, decay_block), Rule(delta.update, delta_block)


class LevelWeights(nn.Module):
    """The weights ``lambda = softplus(Lambda * W x)`` of each head and level: ``[B, L, D]`` to ``[B, H, L, n]``.

    ``Lambda``, one number for each head and level, starts at 1, as in the authors' code.
    """

    no_weight_decay = ("scale",)

    def __init__(self, width: int, heads: int, levels: int) -> None:
        super().__init__()
        self.map = nn.Linear(width, heads * levels, bias=False)
        self.scale = nn.Parameter(torch.ones(heads, 1, levels))

    def forward(self, x: Tensor) -> Tensor:
        """Return the weights, which are positive."""
        heads, _, levels = self.scale.shape
        return F.softplus(self.scale * self.map(x).unflatten(-1, (heads, levels)).transpose(1, 2))


def recurrent(
    rule: Rule, q: Tensor, k: Tensor, v: Tensor, others: tuple[Tensor, ...], weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Run the recurrence step by step; return what queries read and the states after the last position."""
    states, out = start(q, v, weights.shape[-1]), []
    for time, (q_t, w_t, *update_t) in enumerate(
        zip(*(x.unbind(-2) for x in (q, weights, k, v, *others)), strict=True)
    ):
        states = advance(rule, states, time, *update_t)
        out.append(read(states, q_t, w_t))
    return torch.stack(out, dim=-2), states


def start(q: Tensor, v: Tensor, levels: int) -> Tensor:
    """Return states of zeros."""
    state = torch.zeros_like(q[..., 0, :, None] * v[..., 0, None, :])
    return state[..., None, :, :].expand(*state.shape[:-2], levels, -1, -1)


def advance(rule: Rule, states: Tensor, time: int | Tensor, k: Tensor, v: Tensor, *others: Tensor) -> Tensor:
    """Add position ``time`` to the states: merge full levels, apply the recurrence to all, and write to level 0."""
    v = F.pad(v[..., None, :], (0, 0, 0, states.shape[-3] - 1))  # zeros for the other levels
    return rule.update(merge(states, time), k[..., None, :], v, *(x[..., None, :] for x in others))


def read(states: Tensor, q: Tensor, weights: Tensor) -> Tensor:
    """Return what a query ``[..., E]`` reads from all levels, ``[..., V]``."""
    return (weights[..., None] * decay.read(states, q[..., None, :])).sum(-2)


def merge(states: Tensor, time: int | Tensor) -> Tensor:
    """Move the levels that are full before position ``time``, or ``[B]``, into the first that is not.

    The carry reaches the level of the lowest digit of ``time`` that is one. The last level is never emptied.
    """
    if isinstance(time, Tensor):
        time = time.view(-1, *(1,) * (states.dim() - 1))
    level = torch.arange(states.shape[-3], device=states.device)[:, None, None]
    size, last = 2.0 ** (level - 1), level == states.shape[-3] - 1  # the range of level 0 counts as less than one
    carry = time & -time
    moves, receives = (size < carry) & ~last, (size == carry) | (last & (size < carry))
    return states * ~moves + receives * (states * moves).sum(-3, keepdim=True)


def count(x: Tensor, positions: int) -> Tensor:
    """Return the number of positions so far for each row of ``x``, long ``[B]``."""
    return torch.full(x.shape[:1], positions, dtype=torch.long, device=x.device)


def level_of_pairs(length: int, last: int, device: torch.device) -> Tensor:
    """Return the level of each key (column) for each query (row), at most ``last``: long ``[L, L]``."""
    position = torch.arange(length, device=device)
    differ = position[:, None] ^ position
    return sum(((differ >= 2**digit).long() for digit in range(last)), start=torch.zeros_like(differ))


def parallel(
    rule: Rule, q: Tensor, k: Tensor, v: Tensor, others: tuple[Tensor, ...], weights: Tensor
) -> tuple[Tensor, Tensor]:
    """Score all pairs of positions; return what :func:`recurrent` does."""
    return chunked(rule, q, k, v, others, weights, chunk=1 << max(0, q.shape[-2] - 1).bit_length())


def chunked(
    rule: Rule, q: Tensor, k: Tensor, v: Tensor, others: tuple[Tensor, ...], weights: Tensor, chunk: int = CHUNK
) -> tuple[Tensor, Tensor]:
    """Use chunks of a power of two of positions; return what :func:`recurrent` does.

    Two positions in different chunks have the level of their chunks, counted from level ``first``. So the states of
    whole chunks merge from chunk to chunk as those of positions do from step to step.
    """
    levels, out = weights.shape[-1], []
    first = min(chunk.bit_length() - 1, levels - 1)
    states = start(q, v, levels - first)
    pieces = [x.split(chunk, dim=-2) for x in (q, k, v, weights, *others)]
    for index, (q, k, v, weights, *others_now) in enumerate(zip(*pieces, strict=True)):
        block, states = rule.block(q, k, *others_now), merge(states, index)
        pairs = level_of_pairs(q.shape[-2], levels - 1, q.device)
        within = block.scores * weights.gather(-1, pairs.expand(*weights.shape[:-2], -1, -1))
        by_level = block.reads[..., None, :, :] @ states  # [..., n - first, c, V]
        older = weights[..., first:].transpose(-1, -2)[..., None]
        out.append(within @ v + (older * by_level).sum(-3))
        kept = block.transition[..., None, :, :] @ states
        states = kept + F.pad((block.ends @ v)[..., None, :, :], (0, 0, 0, 0, 0, levels - first - 1))
    return torch.cat(out, dim=-2), F.pad(kept, (0, 0, 0, 0, first, 0)) + by_age(block.ends, v, pairs[-1], levels)


def by_age(ends: Tensor, v: Tensor, level: Tensor, levels: int) -> Tensor:
    """Return the states that the positions of the last block leave, each in its level: ``[..., n, E, V]``."""
    belongs = F.one_hot(level, levels).to(v.dtype).T[:, None]  # [n, 1, c]
    return (ends[..., None, :, :] * belongs) @ v[..., None, :, :]


FORMS = {"recurrent": recurrent, "parallel": parallel, "chunked": chunked}
