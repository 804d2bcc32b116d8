"""Bidirectional LSTM: the output at each position depends on all positions before and after it.

Schuster & Paliwal 1997, "Bidirectional Recurrent Neural Networks"; with LSTMs Graves & Schmidhuber 2005; at the root
of ELMo, Peters et al. 2018, "Deep contextualized word representations", section 3.1.

Glossary (paper <-> code, the equations are in ``parts/recurrence.py``):
    h-> _k,j   forward state at position k    <-> ahead   [B, L, D / 2]
    h<- _k,j   backward state                 <-> back    [B, L, D / 2]
    h_k,j      layer j, both side by side     <-> the output, [ahead; back]   [B, L, D]

Differs from ELMo, which stacks each direction separately, as two language models require, and joins them above the
last layer. Here each layer reads both directions of the layer below (Graves & Schmidhuber's form). The answer is at the
end of the stream, so a separate backward stack would reach its positions before the source. There are no projections,
no residual between layers and no weighted sum over layers. Each direction has two bias vectors, so that the fused
kernel takes the same weights.
"""

from typing import ClassVar

import torch
from torch import Tensor

from architectures.base import Block, Context, Mixer
from architectures.parts.recurrence import LSTMLayer, RecurrenceKernel


class BiLSTM(Mixer):
    """Two LSTM layers of half the width, one for each direction; not causal, so it cannot generate.

    Args:
        width: channels ``D`` of input and output, an even number.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
    """

    causal = False
    native: ClassVar[Block] = Block(norm="none", residual=False, feed_forward=None)
    reference: ClassVar[str] = "loop"

    reads_lookup = True

    def __init__(self, width: int, *, kernel: RecurrenceKernel = "auto") -> None:
        super().__init__()
        if width % 2:
            raise ValueError(f"width={width} must be even, because each direction has half of it; use {width + 1}")
        self.ahead = LSTMLayer(width, width // 2, kernel)
        self.back = LSTMLayer(width, width // 2, kernel, reverse=True)

    def forward(self, x: Tensor, context: Context) -> Tensor:
        """Map ``[B, L, D]`` to the states of both directions ``[B, L, D]``."""
        inputs = context.lookup or x
        return torch.cat((self.ahead(inputs)[0], self.back(inputs)[0]), dim=-1)
