"""The delta rule in chunks, with gradients by hand: ``delta.py`` on a CPU.

In a chunk, with ``D_ij = a_{j+1} ... a_i``, ``since_i = a_1 ... a_i``, ``S`` the state that enters it, and ``R`` the
keys and, below them, the queries::

    (A, P) = R (beta K)^T * (D, D)          (F, H) = since * (R S)
    (I + A) x = V - F        O = P x + H        S' = total S + (until beta K)^T x

where ``A`` counts below the diagonal only. With ``g`` the gradient by ``O``, ``T`` that by ``S'``, and ``G`` the
gradient by ``(V - F, O)`` with the sign of ``(F, H)``, ``(-dx', g)``::

    (I + A)^T dx' = P^T g + (until beta K) T        dV = dx'        X = G x^T * (D, D)
    dR = X (beta K) + since * (G S^T)        d(beta K) = X^T R + until * (x T^T)        dS = total T + (since R)^T G

The sum of ``log a`` up to position ``t`` has the gradient ``g_t . o_t - dv_t . v_t``, as all other terms cancel.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from architectures.parts.scans.rows import (
    broadcast_decays,
    chunk_slices,
    five_axes,
    fold_replicas_into_rows,
    later_sum,
    pair_decays,
    part,
    row_blocks,
    write,
)


def chunked(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, chunk: int) -> Tensor:
    """Return the result of ``delta.chunked``."""
    q, k, v5, beta, log_decay = (five_axes(x, grouped=False) for x in (q, k, v, beta, log_decay))
    out, _, _ = _Chunked.apply(q, k, v5, beta, broadcast_decays(log_decay, v5), chunk)
    return out.view(v.shape)


class _Chunked(torch.autograd.Function):
    """The forward pass also returns the corrections ``x`` and the states ``[B, K, G, 1, E, V]`` that enter chunks."""

    @staticmethod
    def forward(
        q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor, chunk: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        rows, groups, _, length, values = v.shape
        chunks = chunk_slices(length, chunk)
        out, corrections = v.new_empty(v.shape), v.new_empty(v.shape)
        states = v.new_empty(rows, len(chunks), groups, 1, q.shape[-1], values)
        for block in row_blocks(rows, groups * chunks[0].stop ** 2):
            state = torch.zeros_like(states[block, 0]).flatten(0, 1)
            for index, positions in enumerate(chunks):
                keys, scores, D, since, R = _scores(q, k, beta, log_decay, block, positions)
                V = part(v, block, positions)
                size = V.shape[-2]
                states[block, index] = state.view(states[block, index].shape)
                right = V
                if index:
                    reads = R @ state
                    right = torch.addcmul(V, reads[..., :size, :], since, value=-1)
                x = torch.linalg.solve_triangular(scores[..., :size, :], right, upper=False, unitriangular=True)
                O = scores[..., size:, :] @ x
                if index:
                    O.addcmul_(reads[..., size:, :], since)
                if index + 1 < len(chunks):
                    state = since[..., -1:, :] * state + (D[..., -1, :, None] * keys).mT @ x
                write(out, block, positions, O)
                write(corrections, block, positions, x)
        return out, corrections, states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save the inputs, outputs, corrections and states."""
        *tensors, ctx.chunk = inputs
        ctx.mark_non_differentiable(*output[1:])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, *output)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, *_: Any) -> tuple[Tensor | None, ...]:
        q, k, v, beta, log_decay, out, corrections, states = ctx.saved_tensors
        rows, groups, _, length, _ = v.shape
        dq, dk, dv, dbeta = (torch.empty_like(x) for x in (q, k, v, beta))
        chunks = chunk_slices(length, ctx.chunk)
        for block in row_blocks(rows, groups * chunks[0].stop ** 2):
            after = torch.zeros_like(states[block, 0]).flatten(0, 1)  # the gradient by the next state, [n, 1, E, V]
            for index in reversed(range(len(chunks))):
                positions = chunks[index]
                keys, scores, D, since, R = _scores(q, k, beta, log_decay, block, positions)
                K, B, g, x = (part(z, block, positions) for z in (k, beta, gradient, corrections))
                first, last, size = index == 0, index + 1 == len(chunks), x.shape[-2]
                S, until = states[block, index].flatten(0, 1), D[..., -1, :, None]
                right = scores[..., size:, :].mT @ g
                if not last:
                    right += (until * keys) @ after
                A = scores[..., :size, :]
                dV = torch.linalg.solve_triangular(A.mT, right, upper=True, unitriangular=True)
                G = torch.cat((-dV, g), dim=-2)
                X = (G @ x.mT).unflatten(-2, (2, size))
                X *= D[..., None, :, :]
                X[..., 0, :, :].diagonal(dim1=-2, dim2=-1).zero_()
                X = X.flatten(-3, -2)
                dR, dkeys = X @ keys, X.mT @ R
                if not first:
                    twice = torch.cat((since, since), dim=-2)
                    dR += twice * (G @ S.mT)
                if not last:
                    dkeys += until * (x @ after.mT)
                if not first:
                    added = (twice * R).mT @ G
                    after = added if last else since[..., -1:, :] * after + added
                write(dq, block, positions, dR[..., size:, :])
                write(dk, block, positions, torch.addcmul(dR[..., :size, :], dkeys, B))
                write(dv, block, positions, dV)
                write(dbeta, block, positions, (dkeys * K).sum(-1, keepdim=True))
        dlog = None
        if ctx.needs_input_grad[4]:
            by_sum = (gradient * out).sum(-1, keepdim=True) - (dv * v).sum(-1, keepdim=True)
            dlog = later_sum(by_sum).sum_to_size(log_decay.shape)
        return dq, dk, dv, dbeta, dlog, None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
        """Replicas are further rows."""
        *tensors, chunk = inputs
        return fold_replicas_into_rows(lambda *x: _Chunked.apply(*x, chunk), info.batch_size, in_dims[:-1], tensors)


def _scores(
    q: Tensor, k: Tensor, beta: Tensor, log_decay: Tensor, block: slice, positions: slice
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    """Return ``beta K``, ``(A, P)`` with the diagonal of ``A``, ``D``, ``since`` and ``R`` of a block and chunk."""
    Q, K, B = (part(x, block, positions) for x in (q, k, beta))
    D, since = pair_decays(log_decay, block, positions, len(Q) // q.shape[1])
    keys, R = B * K, torch.cat((K, Q), dim=-2)
    scores = (R @ keys.mT).unflatten(-2, (2, -1))
    scores *= D[..., None, :, :]
    return keys, scores.flatten(-3, -2), D, since, R
