"""flash-linear-attention: Triton kernels of the linear family (Yang & Zhang 2024)."""

from collections.abc import Callable

import torch
from torch import Tensor

from architectures.parts.kernel_choice import cuda_package, fold_replicas
from architectures.parts.kernels import replicas

KERNEL = cuda_package("fla", "fla", "fla.ops.retention", "fla-core")


def retention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the retention ``[B, H, L, V]`` of queries and keys ``[B, H, L, E]`` and values ``[B, H, L, V]``, unscaled.

    The kernel takes each head's decay from the head's index, ``1 - 2^(-5-h)``.
    """
    return _replicas_as_rows(_retention, q, k, v)  # as heads they would get different decays


def _retention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from fla.ops.retention import chunk_retention

    q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))  # [B, L, H, ...]
    return chunk_retention(q, k, v, scale=1.0)[0].transpose(1, 2)


def diagonal(log_decay: Tensor, inputs: Tensor) -> Tensor:
    """Return all states of ``h_t = exp(log_decay_t) * h_{t-1} + input_t`` from zero; all are ``[B, L, D]``.

    The package calls it HGRN (Qin et al. 2023). It also has a chunked form. This one runs step by step inside one
    kernel, so that it never divides by a decay.
    """
    return _replicas_as_rows(_diagonal, log_decay, inputs)


def _diagonal(log_decay: Tensor, inputs: Tensor) -> Tensor:
    from fla.ops.hgrn import fused_recurrent_hgrn

    return fused_recurrent_hgrn(inputs.contiguous(), log_decay.contiguous())[0]


def linear_attention(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return linear attention ``[B, H, L, V]``, neither scaled nor normalised; ``log_decay`` is ignored."""
    return _replicas_as_rows(_linear_attention, q, k, v)


def _linear_attention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from fla.ops.linear_attn import chunk_linear_attn

    q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))  # [B, L, H, ...]
    return chunk_linear_attn(q, k, v, scale=1.0, normalize=False)[0].transpose(1, 2)


def gla(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    """Return unscaled linear attention ``[B, H, L, V]`` with one decay for each row, ``log_decay`` ``[B, H, L, E]``."""
    return _replicas_as_rows(_gla, q, k, v, log_decay)


def _gla(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor) -> Tensor:
    from fla.ops.gla import chunk_gla

    q, k, v, log_decay = (x.transpose(1, 2).contiguous() for x in (q, k, v, log_decay))  # [B, L, H, ...]
    return chunk_gla(q, k, v, log_decay, scale=1.0)[0].transpose(1, 2)


def delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    """Return the result of ``scans/delta.py`` for the same arguments with leading axes ``[B, H]``.

    The package's kernel without decays does not accept float32, so this always calls the kernel with decays.
    """
    return _replicas_as_rows(_delta_rule, q, k, v, beta, log_decay.expand_as(beta))


def _delta_rule(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_decay: Tensor) -> Tensor:
    from fla.ops.gated_delta_rule import chunk_gated_delta_rule

    q, k, v = (x.to(v.dtype).transpose(1, 2).contiguous() for x in (q, k, v))  # [B, L, H, ...]
    beta, log_decay = (x[..., 0].transpose(1, 2).contiguous() for x in (beta, log_decay))  # [B, L, H]
    return chunk_gated_delta_rule(q, k, v, g=log_decay, beta=beta, scale=1.0)[0].transpose(1, 2)


def dplr(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    """Return the result of ``scans/dplr.py`` for the same arguments with leading axes ``[B, H]``."""
    return _replicas_as_rows(_dplr, q, k, v, a, b, log_decay)


def dplr_cannot(q: Tensor) -> str | None:
    """Return the reason why the kernel does not support these queries, or ``None``."""
    if q.dtype in (torch.float16, torch.bfloat16):
        return None
    return f"takes float16 or bfloat16 here, not {str(q.dtype).removeprefix('torch.')}"


def _dplr(q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_decay: Tensor) -> Tensor:
    from fla.ops.generalized_delta_rule import chunk_dplr_delta_rule

    inputs = (x.to(q.dtype).transpose(1, 2).contiguous() for x in (q, k, v, a, b, log_decay))  # [B, L, H, ...]
    return chunk_dplr_delta_rule(*inputs, scale=1.0)[0].transpose(1, 2)


def _replicas_as_rows(kernel: Callable[..., Tensor], *tensors: Tensor) -> Tensor:
    """Call a kernel on ``[B, ...]``, or on ``[R * B, ...]`` for a population."""

    def folded(*stacked: Tensor) -> Tensor:
        return kernel(*(x.flatten(0, 1) for x in stacked)).unflatten(0, stacked[0].shape[:2])

    return fold_replicas(folded, *tensors) if replicas() else kernel(*tensors)
