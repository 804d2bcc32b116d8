"""minLSTM: an LSTM whose gates depend on the input only and are normalised to sum to one.

Feng et al. 2024, "Were RNNs All We Needed?", section 3.2.

Glossary (paper <-> code, the rest is in ``parts/min_rnn.py``):
    f_t, i_t     forget and input gate, sigmoid(Linear(x_t))      <-> sigmoid of ``forget``, ``take``    [B, L, E]
    f'_t, i'_t   the same, divided by their sum                   <-> 1 - z, z
    h~_t         candidate, Linear(x_t)                           <-> candidate
    h_t          hidden state                                     <-> h                                  [B, E]

    h_t = f'_t * h_{t-1} + i'_t * h~_t,     f' = f / (f + i),  i' = i / (f + i)

Since ``f' + i' = 1``, this is minGRU's moving average with another gate: ``i' = sigmoid(log(i / f))``, and
``log(i / f) = softplus(-forget) - softplus(-take)``, as in the paper's appendix B.

Differs from the paper in the same way as ``mingru.py``.
"""

from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from architectures.parts.min_rnn import GatedAverage


class MinLSTM(GatedAverage):
    """One minLSTM between a short convolution and an output map; a feed-forward follows in the block of the paper."""

    gates: ClassVar[int] = 2

    def logit(self, *gates: Tensor) -> Tensor:
        """Return ``log(i / f)``."""
        forget, take = gates
        return F.softplus(-forget) - F.softplus(-take)
