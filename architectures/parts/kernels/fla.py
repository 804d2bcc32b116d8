"""flash-linear-attention: Triton kernels of the linear family (Yang & Zhang 2024)."""

from torch import Tensor

from architectures.parts.backends import cuda_package, fold_replicas
from architectures.parts.kernels import replicas

KERNEL = cuda_package("fla", "fla", "fla.ops.retention", "fla-core")


def retention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Return the retention ``[B, H, L, V]`` of queries and keys ``[B, H, L, E]`` and values ``[B, H, L, V]``, unscaled.

    The kernel takes each head's decay from the head's index, ``1 - 2^(-5-h)``.
    """
    if replicas():
        return fold_replicas(_retention_of_all_replicas, q, k, v)
    return _retention(q, k, v)


def _retention_of_all_replicas(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """The same for ``[R, B, H, L, ...]``. Replicas become rows: as heads they would get other decays."""
    return _retention(*(x.flatten(0, 1) for x in (q, k, v))).unflatten(0, q.shape[:2])


def _retention(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    from fla.ops.retention import chunk_retention

    q, k, v = (x.transpose(1, 2).contiguous() for x in (q, k, v))  # [B, L, H, ...]
    return chunk_retention(q, k, v, scale=1.0)[0].transpose(1, 2)
