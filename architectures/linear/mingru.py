"""minGRU: a GRU whose gate and candidate depend on the input only, so that it is a gated moving average.

Feng et al. 2024, "Were RNNs All We Needed?", section 3.1.

Glossary (paper <-> code, the rest is in ``parts/min_rnn.py``):
    z_t    update gate, sigmoid(Linear(x_t))   <-> sigmoid of ``logit``    [B, L, E]    E = expand * D channels
    h~_t   candidate, Linear(x_t)              <-> candidate
    h_t    hidden state                        <-> h                       [B, E]

    h_t = (1 - z_t) * h_{t-1} + z_t * h~_t

Differs from the paper: its blocks differ between experiments. The block here, a convolution over four positions, the
recurrence and an MLP, is closest to that of its language models. The state starts from zero.
"""

from typing import ClassVar

from torch import Tensor

from architectures.parts.min_rnn import GatedAverage


class MinGRU(GatedAverage):
    """One minGRU between a short convolution and an output map; a feed-forward follows in the block of the paper."""

    gates: ClassVar[int] = 1

    def logit(self, *gates: Tensor) -> Tensor:
        """Return the only gate's linear map."""
        return gates[0]
