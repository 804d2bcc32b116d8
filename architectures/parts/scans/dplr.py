"""Diagonal plus low rank: ``S_t = (diag(w_t) + b_t a_t^T) S_{t-1} + k_t v_t^T`` and ``o_t = S_t^T q_t``, ``S_0 = 0``.

The delta rule (``delta.py``) generalised: every row of the state has its own decay ``w``, and what is read (``a``),
where it goes back (``b``) and where the new value goes (``k``) may all differ. RWKV-7 is of this kind (Peng et al.
2025, "RWKV-7 'Goose' with Expressive Dynamic State Evolution", section 4.1; its state is the transpose of this one).

    recurrent   the equation, one step after another
    chunked     chunk by chunk, inside of which what is read, ``u_i = S_{i-1}^T a_i``, solves one triangular system, as
                in ``delta.py``

Shapes in all of them, where ``...`` is batch and heads: ``q``, ``k``, ``a``, ``b`` and ``log_decay``, the logarithm of
``w``, ``[..., L, E]``, values ``[..., L, V]``. The result is ``[..., L, V]``.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.parts.scans import diagonal
from architectures.parts.scans.decay import block, read
from architectures.parts.scans.delta import hand_over, solve


def recurrent(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Run the equation step by step."""
    state = torch.zeros_like(k[..., 0, :, None] * v[..., 0, None, :])  # [..., E, V]
    out = []
    for each_q, *each in zip(*(x.unbind(-2) for x in (q, k, v, a, b, log_decay)), strict=True):
        state = update(state, *each)
        out.append(read(state, each_q))
    return torch.stack(out, dim=-2)


def update(state: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Return the next state ``[..., E, V]``, for one position's vectors ``[..., E]`` and value ``[..., V]``."""
    back, new = b[..., None] * read(state, a)[..., None, :], k[..., None] * v[..., None, :]
    return log_decay.exp()[..., None] * state + back + new


def chunked(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor, chunk: int = 16) -> Tensor:
    """Work in chunks of ``chunk`` positions, best a power of two.

    In a chunk, with ``d_ij = w_{j+1} ... w_i`` and ``S`` the state that enters it::

        u_i = a_i . (w_1 ... w_{i-1} S) + sum_{j<i} (a_i . d_{i-1,j} k_j) v_j + (a_i . d_{i-1,j} b_j) u_j
        o_i = q_i . (w_1 ... w_i S) + sum_{j<=i} (q_i . d_ij k_j) v_j + (q_i . d_ij b_j) u_j

    ``u`` is affine in ``S``, ``fresh + stale S``, and so is the state at the end of the chunk.
    """
    length = v.shape[-2]
    q, k, v, a, b, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, a, b, log_decay))  # [..., K, c, E]
    looking = torch.stack((q, earlier(a)), dim=-3)[..., :, None, :, :]  # [..., K, 2, 1, c, E]
    written = torch.stack((k, b), dim=-3)[..., None, :, :, :]  # [..., K, 1, 2, c, E]
    met, looking, written, whole = block(looking, written, log_decay[..., None, None, :, :])
    (q_k, q_b), (a_k, a_b) = (x.unbind(-3) for x in (met[..., 0, :, :, :], later(met[..., 1, :, :, :])))
    q, after = looking[..., 0, :, :].unbind(-3)  # with the decay since the chunk's start
    before = torch.cat((a[..., :1, :], after[..., :-1, :]), dim=-2)
    fresh, stale = solve(-a_b, torch.cat((a_k @ v, before), dim=-1)).split((v.shape[-1], k.shape[-1]), dim=-1)
    k, b = written[..., 0, :, :, :].transpose(-1, -2).unbind(-3)  # with the decay until its end
    entering = hand_over(torch.diag_embed(whole[..., 0, 0, 0, :].exp()) + b @ stale, k @ v + b @ fresh)
    out = q_k @ v + q_b @ (fresh + stale @ entering) + q @ entering
    return out.flatten(-3, -2)[..., :length, :]


def later(x: Tensor) -> Tensor:
    """Move everything to the next position of a chunk; zeros come first."""
    return F.pad(x[..., :-1, :], (0, 0, 1, 0))


def earlier(x: Tensor) -> Tensor:
    """Move everything to the position before; zeros come last."""
    return F.pad(x[..., 1:, :], (0, 0, 0, 1))
