"""DeltaNet: linear attention that corrects the value stored under a key instead of adding to it.

Schlag, Irie & Schmidhuber 2021, "Linear Transformers Are Secretly Fast Weight Programmers", section 4.2; in the form of
Yang et al. 2024, "Parallelizing Linear Transformers with the Delta Rule over Sequence Length"; signed eigenvalues by
Grazzi et al. 2024, "Unlocking State-Tracking in Linear RNNs Through Negative Eigenvalues".

Glossary (Yang et al. <-> code, the layer is ``parts/delta_layer.py``, the rule ``parts/scans/delta.py``):
    q_t, k_t    query and key, of norm one       <-> q, k   [B, H, L, E]    E = D / H
    v_t         value                            <-> v      [B, H, L, V]    V = expand * E
    beta_t      writing strength                 <-> beta   [B, H, L, 1]    in (0, 1), or (0, 2) with signed eigenvalues
    S_t         state, transposed                <-> state  [B, H, E, V]

    S_t = (I - beta_t k_t k_t^T) S_{t-1} + beta_t k_t v_t^T        o_t = S_t^T q_t

Differs from the paper: the short convolutions have a bias. As in the authors' code, queries are scaled by ``E^(-1/2)``.
"""

from architectures.base import Eigenvalues, Positive
from architectures.parts.delta_layer import DeltaKernel, DeltaLayer


class DeltaNet(DeltaLayer):
    """The delta rule without decay. The paper's block is pre-RMSNorm with a SwiGLU feed-forward.

    Args:
        width: channels ``D``.
        heads: number of heads ``H``.
        expand: ratio of value channels to query channels.
        conv: number of positions that the convolutions of queries, keys and values mix.
        eigenvalues: ``positive`` as in the paper, in [0, 1], or ``signed``, in [-1, 1].
        kernel: ``recurrent`` is the equation, step by step; ``chunked`` solves a triangular system in each chunk of 32
            positions; ``fla`` is the Triton kernel of flash-linear-attention. ``auto`` takes ``fla`` on a GPU if
            it is installed, and ``chunked`` elsewhere (a training step of two layers, batch 64, one core:
            39 ms against 78 at length 20, 0.5 s against 0.9 at 200).
    """

    def __init__(
        self,
        width: int,
        *,
        heads: Positive = 4,
        expand: Positive = 1,
        conv: Positive = 4,
        eigenvalues: Eigenvalues = "positive",
        kernel: DeltaKernel = "auto",
    ) -> None:
        super().__init__(width, heads, expand, conv, eigenvalues, kernel)
