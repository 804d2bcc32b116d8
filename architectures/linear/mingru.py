"""minGRU: a GRU whose gate and candidate no longer see the hidden state, which makes it a gated moving average.

Feng et al. 2024, "Were RNNs All We Needed?", section 3.1.

Glossary (paper <-> code, the rest is in ``parts/gated_average.py``):
    z_t    update gate, sigmoid(Linear(x_t))   <-> sigmoid of ``logit``    [B, L, E]    E = expand * D channels
    h~_t   candidate, Linear(x_t)              <-> candidate
    h_t    hidden state                        <-> h                       [B, E]

    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t

Differs from the paper: its blocks change from experiment to experiment; this one, a convolution over four positions,
the recurrence and an MLP, comes closest to that of its language models. The state starts from zero.
"""

from typing import ClassVar

from torch import Tensor

from architectures.parts.gated_average import GatedAverage


class MinGRU(GatedAverage):
    """One minGRU between a short convolution and an output map; a feed-forward follows in the block of the paper."""

    gates: ClassVar[int] = 1

    def logit(self, *gates: Tensor) -> Tensor:
        """The gate is its own."""
        return gates[0]
