"""Diagonal plus low rank: ``S_t = (diag(w_t) + b_t a_t^T) S_{t-1} + k_t v_t^T`` and ``o_t = S_t^T q_t``, ``S_0 = 0``.

It generalises the delta rule (``delta.py``): every row of the state has its own decay ``w``, and there are separate
keys for reading (``a``), for writing the read value back (``b``) and for writing the new value (``k``). RWKV-7 is of
this kind (Peng et al. 2025, "RWKV-7 'Goose' with Expressive Dynamic State Evolution", section 4.1; its state is the
transpose of this one).

    recurrent   the equation, step by step
    chunked     chunk by chunk; the read values ``u_i = S_{i-1}^T a_i`` of a chunk solve one triangular system, as in
                ``delta.py``
    stepwise    recurrent, on a CPU in place and with gradients by hand (``stepwise.py``)

Shapes in all forms, where ``...`` is batch and heads: ``q``, ``k``, ``a``, ``b`` and ``log_decay``, the logarithm of
``w``, ``[..., L, E]``, values ``[..., L, V]``. The result is ``[..., L, V]``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.parts.kernel_choice import suits_hand_gradients
from architectures.parts.scans import diagonal, rules
from architectures.parts.scans.decay import block, read
from architectures.parts.scans.delta import propagate, solve
from architectures.parts.scans.stepwise import scan


def recurrent(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Run the equation step by step."""
    state = torch.zeros_like(k[..., 0, :, None] * v[..., 0, None, :])  # [..., E, V]
    out = []
    for q_t, *update_t in zip(*(x.unbind(-2) for x in (q, k, v, a, b, log_decay)), strict=True):
        state = update(state, *update_t)
        out.append(read(state, q_t))
    return torch.stack(out, dim=-2)


def update(state: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Return the next state ``[..., E, V]`` for one position's vectors ``[..., E]`` and value ``[..., V]``."""
    low_rank, outer = b[..., None] * read(state, a)[..., None, :], k[..., None] * v[..., None, :]
    return log_decay.exp()[..., None] * state + low_rank + outer


def chunked(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor, chunk: int = 16) -> Tensor:
    """Use chunks of ``chunk`` positions; a power of two needs no padding inside a chunk.

    In a chunk, with ``d_ij = w_{j+1} ... w_i`` and ``S`` the state that enters it::

        u_i = a_i . (w_1 ... w_{i-1} S) + sum_{j<i} (a_i . d_{i-1,j} k_j) v_j + (a_i . d_{i-1,j} b_j) u_j
        o_i = q_i . (w_1 ... w_i S) + sum_{j<=i} (q_i . d_ij k_j) v_j + (q_i . d_ij b_j) u_j

    ``u`` is affine in ``S``: ``u = offset + slope S``. The state at the end of the chunk is affine in ``S`` too.
    """
    length = v.shape[-2]
    q, k, v, a, b, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, a, b, log_decay))  # [..., K, c, E]
    # Score both kinds of reads (q, a) with both kinds of writes (k, b) at once; a reads one position earlier than q.
    reads = torch.stack((q, earlier(a)), dim=-3)[..., :, None, :, :]  # [..., K, 2, 1, c, E]
    writes = torch.stack((k, b), dim=-3)[..., None, :, :, :]  # [..., K, 1, 2, c, E]
    scores, reads, writes, chunk_decay = block(reads, writes, log_decay[..., None, None, :, :])
    (q_k, q_b), (a_k, a_b) = (x.unbind(-3) for x in (scores[..., 0, :, :, :], later(scores[..., 1, :, :, :])))
    # Solve for the read values u = offset + slope S of all chunks.
    q, a_next = reads[..., 0, :, :].unbind(-3)  # with the decay since the chunk's start
    a_now = torch.cat((a[..., :1, :], a_next[..., :-1, :]), dim=-2)
    offset, slope = solve(-a_b, torch.cat((a_k @ v, a_now), dim=-1)).split((v.shape[-1], k.shape[-1]), dim=-1)
    # Propagate the states from chunk to chunk.
    k, b = writes[..., 0, :, :, :].transpose(-1, -2).unbind(-3)  # with the decay until the chunk's end
    entering = propagate(torch.diag_embed(chunk_decay[..., 0, 0, 0, :].exp()) + b @ slope, k @ v + b @ offset)
    out = q_k @ v + q_b @ (offset + slope @ entering) + q @ entering
    return out.flatten(-3, -2)[..., :length, :]


def stepwise(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Return the result of :func:`recurrent` in place, with gradients by hand; elsewhere than on a CPU ``chunked``."""
    if suits_hand_gradients(q, k, v, a, b, log_decay):
        return scan(rules.LowRank(), q, k, v, a, b, log_decay.exp())
    return chunked(q, k, v, a, b, log_decay)


def later(x: Tensor) -> Tensor:
    """Shift by one to the next position of a chunk; the first position gets zeros."""
    return F.pad(x[..., :-1, :], (0, 0, 1, 0))


def earlier(x: Tensor) -> Tensor:
    """Shift by one to the previous position of a chunk; the last position gets zeros."""
    return F.pad(x[..., 1:, :], (0, 0, 0, 1))
