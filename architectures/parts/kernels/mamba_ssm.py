"""mamba-ssm: the CUDA kernel of the selective scan by the authors of Mamba (Gu & Dao 2023, section 3.3).

It does not store the states in memory, but computes them again in the backward pass.
"""

from torch import Tensor

from architectures.parts.kernel_choice import cuda_package, fold_replicas
from architectures.parts.kernels import replicas

KERNEL = cuda_package("mamba_ssm", "mamba", "mamba_ssm.ops.selective_scan_interface", "mamba-ssm")


def selective_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Return ``y_t = C_t h_t`` of ``h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t``.

    Args:
        x, delta: ``[B, L, D]``.
        A: ``[N, D]``.
        B, C: ``[B, L, N]``.
    """
    if replicas():
        return fold_replicas(_all_replicas, x, delta, A, B, C)
    return _all_replicas(*(z[None] for z in (x, delta, A, B, C)))[0]


def _all_replicas(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Scan tensors ``[R, ...]``: replicas become channels, and groups of channels for ``B`` and ``C``."""
    from mamba_ssm.ops.selective_scan_interface import selective_scan_fn

    count, rows, length, width = x.shape
    x, delta = (z.permute(1, 0, 3, 2).reshape(rows, count * width, length) for z in (x, delta.to(x.dtype)))
    B, C = (z.to(x.dtype).permute(1, 0, 3, 2).contiguous() for z in (B, C))  # [B, R, N, L]
    A = A.float().transpose(1, 2).reshape(count * width, -1)  # the kernel takes A in float32 only
    return selective_scan_fn(x, delta, A, B, C).unflatten(1, (count, width)).permute(1, 0, 3, 2)


def chunk_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Return ``y_t = C_t h_t`` of ``h_t = exp(delta_t A) h_{t-1} + delta_t B_t x_t^T`` (Dao & Gu 2024, section 6).

    Args:
        x: ``[B, L, H, P]``.
        delta: ``[B, L, H]``.
        A: ``[H]``.
        B, C: ``[B, L, G, N]``, for groups of heads.
    """
    if replicas():
        return fold_replicas(_chunk_scan_of_all_replicas, x, delta, A, B, C)
    return _chunk_scan(x, delta, A, B, C)


def _chunk_scan_of_all_replicas(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    """Scan tensors ``[R, ...]``: replicas become heads, and groups of heads for ``B`` and ``C``."""
    count = x.shape[0]
    x, delta, B, C = (z.movedim(0, 2).flatten(2, 3) for z in (x, delta, B, C))
    return _chunk_scan(x, delta, A.flatten(), B, C).unflatten(2, (count, -1)).movedim(2, 0)


def _chunk_scan(x: Tensor, delta: Tensor, A: Tensor, B: Tensor, C: Tensor) -> Tensor:
    from mamba_ssm.ops.triton.ssd_combined import mamba_chunk_scan_combined

    x, delta, B, C = (z.contiguous() for z in (x, delta, B, C))
    return mamba_chunk_scan_combined(x, delta.to(x.dtype), A.float(), B, C, chunk_size=64)
