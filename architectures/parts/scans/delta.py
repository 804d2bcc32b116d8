"""The delta rule: ``S_t = a_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T`` and ``o_t = S_t^T q_t``, ``S_0 = 0``.

The state first decays by ``a``. The value stored under the key is then replaced in part: a share ``beta`` of it is
erased, and ``beta`` times the new value is written. With keys of norm one, the eigenvalues of the transition are ``a``
and ``a (1 - beta)``; negative eigenvalues require ``beta > 1`` (Grazzi et al. 2024, "Unlocking State-Tracking in Linear
RNNs Through Negative Eigenvalues").

    recurrent   the equation, step by step
    chunked     chunk by chunk; the corrections ``x_i`` of a chunk, each the value minus the value stored under the key,
                solve one triangular system, the UT transform: Yang et al. 2024, "Parallelizing Linear Transformers with
                the Delta Rule over Sequence Length"; with decays Yang, Kautz & Hatamizadeh 2024, "Gated Delta Networks"

Shapes in all forms, where ``...`` is batch and heads: queries and keys ``[..., L, E]``, values ``[..., L, V]``, and
``beta`` and ``log_decay``, the logarithm of ``a``, ``[..., L, 1]``. Batch and heads of the decay may be broadcast. The
result is ``[..., L, V]``.
"""

import torch
from torch import Tensor

from architectures.parts.kernel_choice import suits_hand_gradients
from architectures.parts.scans import decay, delta_blocks, diagonal
from architectures.parts.scans.decay import read


def recurrent(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    """Run the equation step by step."""
    state = torch.zeros_like(k[..., 0, :, None] * v[..., 0, None, :])  # [..., E, V]
    out = []
    for q_t, *update_t in zip(*(x.unbind(-2) for x in (q, k, v, beta, log_decay)), strict=True):
        state = update(state, *update_t)
        out.append(read(state, q_t))
    return torch.stack(out, dim=-2)


def update(state: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    """Return the next state ``[..., E, V]`` for one position's key ``[..., E]``, value ``[..., V]``, beta and decay."""
    state = log_decay.exp()[..., None] * state
    return state + (beta * k)[..., None] * (v - read(state, k))[..., None, :]


def chunked(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, chunk: int = 32) -> Tensor:
    """Use equal chunks of at most ``chunk`` positions.

    In a chunk, with ``d_ij = a_{j+1} ... a_i`` and ``S`` the state that enters it::

        x_i = v_i - k_i . (a_1 ... a_i S) - sum_{j<i} d_ij (k_i . beta_j k_j) x_j
        o_i = q_i . (a_1 ... a_i S) + sum_{j<=i} d_ij (q_i . beta_j k_j) x_j

    ``x`` is affine in ``S``: ``x = offset - slope S``. The state at the end of the chunk is affine in ``S`` too. All
    chunks are therefore solved at once, and then the states are propagated from chunk to chunk.

    On one core (batch 64, 4 heads of 16 channels, forward and backward) 32 was within a third of the best of 16, 32 and
    64 at lengths 40 to 200 (83 ms against 75 and 104 at 200).

    With more than one chunk, gradients are written by hand on a CPU (``delta_blocks.py``), which took 15 ms instead of
    22 at length 41 and 35 instead of 59 at 81 (32 value channels). With one chunk it would take 5.3 instead of 4.7.
    """
    if v.shape[-2] > chunk and suits_hand_gradients(q, k, v, beta, log_decay):
        return delta_blocks.chunked(q, k, v, beta, log_decay, chunk)
    return chunked_by_autograd(q, k, v, beta, log_decay, chunk)


def chunked_by_autograd(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, chunk: int = 32) -> Tensor:
    """Return the result of :func:`chunked` for all chunks at once, with the gradients of autograd."""
    length = v.shape[-2]
    chunk = diagonal.even(length, chunk)
    q, k, v, beta, log_decay = (diagonal.split(x, chunk, dim=-2) for x in (q, k, v, beta, log_decay))  # [..., K, c, E]
    beta_k = beta * k
    decays = decay.between(log_decay).exp()  # [..., K, c, c]
    key_scores, query_scores = ((x @ beta_k.transpose(-1, -2)) * decays for x in (k, q))
    if length <= chunk:
        return (query_scores @ solve(key_scores, v)).flatten(-3, -2)
    since, last = log_decay.cumsum(-2).exp(), beta_k * decays[..., -1, :, None]
    # Solve for the corrections x = offset - slope S of all chunks.
    offset, slope = solve(key_scores, torch.cat((v, since * k), dim=-1)).split((v.shape[-1], k.shape[-1]), dim=-1)
    # Propagate the states from chunk to chunk.
    chunk_decay = torch.diag_embed(since[..., -1, :].expand_as(k[..., -1, :]))
    last = last.transpose(-1, -2)
    entering = propagate(chunk_decay - last @ slope, last @ offset)
    out = query_scores @ (offset - slope @ entering) + (since * q) @ entering
    return out.flatten(-3, -2)[..., :length, :]


def solve(below: Tensor, right: Tensor) -> Tensor:
    """Solve ``(I + below) x = right``, reading only the strict lower triangle of ``below``; at least in float32."""
    dtype = torch.promote_types(right.dtype, torch.float32)
    solved = torch.linalg.solve_triangular(below.to(dtype), right.to(dtype), upper=False, unitriangular=True)
    return solved.to(right.dtype)


def propagate(transition: Tensor, added: Tensor) -> Tensor:
    """Return the states ``[..., K, E, V]`` that enter the chunks; a chunk maps ``S`` to ``transition S + added``."""
    state = torch.zeros_like(added[..., 0, :, :])
    entering = [state]
    for matrix, term in zip(transition.unbind(-3)[:-1], added.unbind(-3)[:-1], strict=True):
        state = matrix @ state + term
        entering.append(state)
    return torch.stack(entering, dim=-3)
