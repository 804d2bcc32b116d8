"""DeltaProduct: several delta-rule corrections for each token, whose product can be a rotation or a permutation.

Siems et al. 2025, "DeltaProduct: Improving State-Tracking in Linear RNNs via Householder Products".

Glossary (paper <-> code, the layer is ``parts/delta_layer.py``, the rule ``parts/scans/delta.py``):
    n_h                             Householder steps    <-> householders, n
    k_{i,j}, v_{i,j}, beta_{i,j}    those of step j      <-> k, v, beta   [B, H, n L, ...], a token's steps in order
    q_i                             query, norm one      <-> q            [B, H, L, E]      E = D / H
    g_i                             decay                <-> log_decay    [B, H, n L, 1], its logarithm, 0 after j = 1
    H_i                             state                <-> state        [B, H, E, V]      V = expand * E

    H_{i,j} = (I - beta_{i,j} k_{i,j} k_{i,j}^T) H_{i,j-1} + beta_{i,j} k_{i,j} v_{i,j}^T
    H_{i,0} = g_i H_{i-1,n_h}        o_i = H_{i,n_h}^T q_i

A token's transition is a product of ``n_h`` generalised Householder matrices; with signed eigenvalues, a product of two
can be a rotation. Every step has its own weights, applied to the same input.

Differs from the paper: the short convolutions have a bias. As in the authors' code, queries are scaled by ``E^(-1/2)``
and the output is gated.
"""

from architectures.base import Eigenvalues, Positive
from architectures.parts.delta_layer import DeltaKernel, DeltaLayer


class DeltaProduct(DeltaLayer):
    """Products of delta rules. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        heads: number of heads ``H``.
        householders: corrections of the state for each token, ``n_h``.
        expand: ratio of value channels to query channels.
        conv: number of positions that the convolutions of queries, keys and values mix.
        eigenvalues: ``signed`` as in the paper, in [-1, 1], or ``positive``, in [0, 1].
        decays: whether the state decays before each token, at Mamba-2's rate: Gated DeltaProduct.
        kernel: ``recurrent`` is the equation, step by step; ``chunked`` solves a triangular system in each chunk of 32
            steps; ``fla`` is the Triton kernel of flash-linear-attention. ``auto`` takes ``fla`` on a GPU if it is
            installed, and ``chunked`` elsewhere (a training step of two layers, batch 64, one core:
            65 ms against 129 at length 20, 0.7 s against 1.6 at 200).
    """

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        householders: Positive = 2,
        expand: Positive = 1,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "signed",
        decays: bool = False,
        kernel: DeltaKernel = "auto",
    ) -> None:
        super().__init__(
            width, heads, expand, conv, eigenvalues, kernel, corrections=householders, decays=decays, gated=True
        )
