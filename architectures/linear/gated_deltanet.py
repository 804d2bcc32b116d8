"""Gated DeltaNet: the delta rule, which corrects the value of one key, with Mamba-2's decay of the whole state.

Yang, Kautz & Hatamizadeh 2024, "Gated Delta Networks: Improving Mamba2 with Delta Rule", section 3 and figure 1.

Glossary (paper <-> code, the layer is ``parts/delta_layer.py``, the rule ``parts/scans/delta.py``):
    q_t, k_t    query and key, of norm one       <-> q, k        [B, H, L, E]    E = D / H
    v_t         value                            <-> v           [B, H, L, V]    V = expand * E
    beta_t      writing strength                 <-> beta        [B, H, L, 1]    in (0, 1), or (0, 2) if signed
    alpha_t     decay, in (0, 1)                 <-> log_decay   [B, H, L, 1], its logarithm
    S_t         state, transposed                <-> state       [B, H, E, V]

    S_t = alpha_t (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T        o_t = S_t^T q_t          (equation 10)
    alpha_t = exp(-A softplus(W x_t + b))                                                           (as in Mamba-2)

Differs from the paper: queries and keys have ``D`` channels together, not ``3 D / 4``; the short convolutions have a
bias. As in the authors' code, queries are scaled by ``E^(-1/2)``.
"""

from architectures.base import Eigenvalues, Positive
from architectures.parts.delta_layer import DeltaKernel, DeltaLayer


class GatedDeltaNet(DeltaLayer):
    """The delta rule with decay and output gate. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        heads: number of heads ``H``.
        expand: ratio of value channels to query channels.
        conv: number of positions that the convolutions of queries, keys and values mix.
        eigenvalues: ``positive`` as in the paper, in [0, 1], or ``signed``, in [-1, 1] (Grazzi et al. 2024).
        kernel: ``recurrent`` is the equation, step by step; ``chunked`` solves a triangular system in each chunk of 32
            positions; ``fla`` is the Triton kernel of flash-linear-attention. ``auto`` takes ``fla`` on a GPU if
            it is installed, and ``chunked`` elsewhere (a training step of two layers, batch 64, one core:
            48 ms against 74 at length 20, 0.75 s against 0.83 at 200).
    """

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        expand: Positive = 2,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: DeltaKernel = "auto",
    ) -> None:
        super().__init__(width, heads, expand, conv, eigenvalues, kernel, decays=True, gated=True)
