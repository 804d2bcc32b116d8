"""Linear attention with one decay for all rows of the state, in chunks, with gradients by hand: ``decay.py`` on a CPU.

In a chunk, with ``D_ij = a_{j+1} ... a_i`` and ``S`` the state that enters it::

    O = (Q K^T * D) V + since * (Q S)          since_i = a_1 ... a_i
    S' = total S + K^T (until * V)             until_j = D_cj, total = since_c

With ``g`` the gradient by ``O``, ``T`` that by ``S'``, ``W = Q K^T * D`` and ``X = g V^T * D``::

    dV = W^T g + until * (K T)        dQ = X K + (since * g) S^T        dK = X^T Q + (until * V) T^T
    dS = total T + Q^T (since * g)

The logarithm of ``a_t`` gets all terms whose decay contains ``a_t``. They are summed as they are. A difference of
running sums would be cheaper, but the smallest gradients, which signed decays divide by the decay, would be lost.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from architectures.parts.scans.rows import (
    broadcast_decays,
    chunk_slices,
    crossing,
    earlier_sum,
    five_axes,
    fold_replicas_into_rows,
    later_sum,
    pair_decays,
    part,
    row_blocks,
    write,
)


def chunked(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk: int) -> Tensor:
    """Return the result of ``decay.chunked``; heads may share queries and keys, whose third last axis is then one."""
    grouped = v.dim() > 3 and q.shape[-3] == 1 < v.shape[-3]
    q, k, v5, log_decay = (five_axes(x, grouped) for x in (q, k, v, log_decay))
    out, _ = _Chunked.apply(q, k, v5, broadcast_decays(log_decay, v5), chunk)
    return out.view(v.shape)


class _Chunked(torch.autograd.Function):
    """The forward pass also returns the states ``[K, B, G, E, h, V]`` that enter the chunks."""

    @staticmethod
    def forward(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, chunk: int) -> tuple[Tensor, Tensor]:
        rows, groups, heads, length, values = v.shape
        out = v.new_empty(v.shape)
        chunks = chunk_slices(length, chunk)
        states = v.new_empty(rows, len(chunks), groups, q.shape[-1], heads, values)
        for block in row_blocks(rows, groups * heads * chunks[0].stop ** 2):
            state = torch.zeros_like(states[block, 0]).flatten(0, 1)  # [n, E, h, V]
            for index, positions in enumerate(chunks):
                Q, K, V = (part(x, block, positions) for x in (q, k, v))
                D, since = pair_decays(log_decay, block, positions, len(Q) // groups)
                O = ((Q @ K.mT) * D) @ V
                states[block, index] = state.view(states[block, index].shape)
                if index:
                    O += since * by_group(Q, state)
                if index + 1 < len(chunks):
                    state = since[..., -1:, :].transpose(1, 2) * state + outer(K, D[..., -1, :, None] * V)
                write(out, block, positions, O)
        return out, states

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
        """Save the inputs and the states."""
        *tensors, ctx.chunk = inputs
        ctx.mark_non_differentiable(output[1])
        ctx.set_materialize_grads(False)
        ctx.save_for_backward(*tensors, output[1])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor, _: Any) -> tuple[Tensor | None, ...]:
        q, k, v, log_decay, states = ctx.saved_tensors
        rows, groups, heads, length, _ = v.shape
        dq, dk, dv = (torch.empty_like(x) for x in (q, k, v))
        chunks = chunk_slices(length, ctx.chunk)
        dlog = v.new_zeros(*v.shape[:-1], 1) if ctx.needs_input_grad[3] else None
        crosses = crossing(chunks[0].stop, v)
        for block in row_blocks(rows, groups * heads * chunks[0].stop ** 2):
            after = torch.zeros_like(states[block, 0]).flatten(0, 1)  # the gradient by the next state, [n, E, h, V]
            for index in reversed(range(len(chunks))):
                positions = chunks[index]
                Q, K, V, g = (part(x, block, positions) for x in (q, k, v, gradient))
                first, last = index == 0, index + 1 == len(chunks)
                S = states[block, index].flatten(0, 1)
                D, since = pair_decays(log_decay, block, positions, len(Q) // groups)
                W, dW = (Q @ K.mT) * D, g @ V.mT
                X = (dW * D).sum(1, keepdim=True) if heads > 1 else dW * D
                dQ, dK, dV = X @ K, X.mT @ Q, W.mT @ g
                total, until = since[..., -1:, :], D[..., -1, :, None]
                if not first:
                    since_g = since * g
                    dQ += against(since_g, S)
                if not last:
                    dV_after = until * by_group(K, after)
                    dV += dV_after
                    dK += against(until * V, after)
                if dlog is not None:
                    size = V.shape[-2]
                    pairs = dW.mul_(W).flatten(-2)
                    terms = (pairs @ (crosses if size == chunks[0].stop else crossing(size, v)))[..., None]
                    if not first:
                        terms += later_sum((since_g * by_group(Q, S)).sum(-1, keepdim=True))
                    if not last:
                        terms += earlier_sum((V * dV_after).sum(-1, keepdim=True))
                    if not first and not last:
                        terms += total * (after * S).sum((1, 3))[..., None, None]
                    write(dlog, block, positions, terms)
                if not first:
                    after = outer(Q, since_g) if last else total.transpose(1, 2) * after + outer(Q, since_g)
                for out, values in ((dq, dQ), (dk, dK), (dv, dV)):
                    write(out, block, positions, values)
        return dq, dk, dv, None if dlog is None else dlog.sum_to_size(log_decay.shape), None

    @staticmethod
    def vmap(info: Any, in_dims: tuple[int | None, ...], *inputs: Any) -> Any:
        """Replicas are further rows."""
        *tensors, chunk = inputs
        return fold_replicas_into_rows(lambda *x: _Chunked.apply(*x, chunk), info.batch_size, in_dims[:-1], tensors)


def by_group(x: Tensor, state: Tensor) -> Tensor:
    """Read the states ``[n, E, h, V]`` of all heads with the queries ``[n, 1, c, E]`` of a group: ``[n, h, c, V]``."""
    return (x[:, 0] @ state.flatten(2)).unflatten(-1, state.shape[2:]).transpose(1, 2)


def against(values: Tensor, state: Tensor) -> Tensor:
    """Multiply values ``[n, h, c, V]`` by states ``[n, E, h, V]``, summed over heads: ``[n, 1, c, E]``."""
    return (values.transpose(1, 2).flatten(2) @ state.flatten(2).mT)[:, None]


def outer(keys: Tensor, values: Tensor) -> Tensor:
    """Sum outer products of keys ``[n, 1, c, E]`` and values ``[n, h, c, V]``: ``[n, E, h, V]``."""
    joined = values.transpose(1, 2)  # [n, c, h, V]
    return (keys[:, 0].mT @ joined.flatten(2)).unflatten(-1, joined.shape[2:])
