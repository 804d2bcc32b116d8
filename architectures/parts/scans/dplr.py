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
from architectures.parts.scans.decay import read
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
    """Work in chunks of ``chunk`` positions, a power of two.

    In a chunk, with ``d_ij = w_{j+1} ... w_i`` and ``S`` the state that enters it::

        u_i = a_i . (w_1 ... w_{i-1} S) + sum_{j<i} (a_i . d_{i-1,j} k_j) v_j + (a_i . d_{i-1,j} b_j) u_j
        o_i = q_i . (w_1 ... w_i S) + sum_{j<=i} (q_i . d_ij k_j) v_j + (q_i . d_ij b_j) u_j

    ``u`` is affine in ``S``, ``fresh + stale S``, and so is the state at the end of the chunk.
    """
    length = v.shape[-2]
    q, k, v, a, b, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, a, b, log_decay))  # [..., K, c, E]
    looking, written = torch.stack((q, earlier(a)), dim=-3), torch.stack((k, b), dim=-3)  # [..., K, 2, c, E]
    met = scores(looking[..., :, None, :, :], written[..., None, :, :, :], log_decay[..., None, None, :, :])
    (q_k, q_b), (a_k, a_b) = (x.unbind(-3) for x in (met[..., 0, :, :, :], later(met[..., 1, :, :, :])))
    since, until = log_decay.cumsum(-2).exp(), earlier(log_decay).flip(-2).cumsum(-2).flip(-2).exp()
    before = a * later(log_decay).cumsum(-2).exp()
    fresh, stale = solve(-a_b, torch.cat((a_k @ v, before), dim=-1)).split((v.shape[-1], k.shape[-1]), dim=-1)
    k, b = ((until * x).transpose(-1, -2) for x in (k, b))
    entering = hand_over(torch.diag_embed(since[..., -1, :]) + b @ stale, k @ v + b @ fresh)
    out = q_k @ v + q_b @ (fresh + stale @ entering) + (since * q) @ entering
    return out.flatten(-3, -2)[..., :length, :]


def scores(q: Tensor, k: Tensor, log_decay: Tensor) -> Tensor:
    """Return ``q_i . (w_{j+1} ... w_i * k_j)`` for all ``j <= i``, zero above the diagonal: ``[..., L, L]``, L = 2^n.

    Blocks of positions double in size. Where two meet, the decay from a key of the left one to a query of the right one
    is that from the key to the border times that from the border to the query: one product of matrices, no division.
    """
    q, k, since = (x[..., None, :] for x in (q, k, log_decay))  # blocks of one position: [..., L, 1, E]
    until, out = torch.zeros_like(since), (q * k).sum(-1, keepdim=True)
    while out.shape[-3] > 1:
        (q_left, q_right), (k_left, k_right) = halves(q), halves(k)
        (since_left, since_right), (until_left, until_right) = halves(since), halves(until)
        (left, right), none = halves(out), out.new_zeros(()).expand(out[..., ::2, :, :].shape)
        across = (q_right * since_right.exp()) @ (k_left * until_left.exp()).transpose(-1, -2)
        out = torch.cat((torch.cat((left, none), dim=-1), torch.cat((across, right), dim=-1)), dim=-2)
        q, k = torch.cat((q_left, q_right), dim=-2), torch.cat((k_left, k_right), dim=-2)
        since = torch.cat((since_left, since_right + since_left[..., -1:, :]), dim=-2)
        until = torch.cat((until_left + since_right[..., -1:, :], until_right), dim=-2)
    return out[..., 0, :, :]


def halves(blocks: Tensor) -> tuple[Tensor, Tensor]:
    """Split pairs of neighbouring blocks ``[..., 2 N, c, E]`` into left and right ones, ``[..., N, c, E]`` each."""
    return blocks[..., ::2, :, :], blocks[..., 1::2, :, :]


def later(x: Tensor) -> Tensor:
    """Move everything to the next position of a chunk; zeros come first."""
    return F.pad(x[..., :-1, :], (0, 0, 1, 0))


def earlier(x: Tensor) -> Tensor:
    """Move everything to the position before; zeros come last."""
    return F.pad(x[..., 1:, :], (0, 0, 0, 1))
