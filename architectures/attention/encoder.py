"""Encoder: a transformer in which every token attends to all tokens, before and after it.

Devlin et al. 2018, "BERT: Pre-training of Deep Bidirectional Transformers for Language Understanding", section 3; the
layer is Vaswani et al. 2017, sections 3.1 and 3.2, with GELU.

Glossary (paper <-> code):
    L      layers                 <-> depth
    H      hidden size            <-> width  (D)
    A      attention heads        <-> heads  (H)
    4H     feed-forward size      <-> expand * width
    [MASK] a token to predict     <-> the blanks in place of the answer in readout

    x = LayerNorm(x + attention(x));   x = LayerNorm(x + feed_forward(x))

The prediction at a blank depends on all other tokens, so the model supports readout and tagging but cannot generate.

Differs from the paper: sinusoidal positions, because BERT's learned table ends with its longest training text
(``position=learned`` restores it, up to ``reach``); neither segments nor a norm after the embeddings; no masked
pre-training.
"""

from typing import ClassVar

from architectures.base import Block, Positive
from architectures.parts.attention import KernelName, MultiHead, head_width
from architectures.parts.self_attention import SelfAttention


class Encoder(SelfAttention):
    """Multi-head self-attention in both directions.

    Args:
        width: channels ``D``, a multiple of twice the heads (RoPE rotates the channels of a head in pairs).
        heads: attention heads ``H``.
        kernel: as in ``parts/attention.py``; the reference is ``math``.
    """

    causal = False
    native: ClassVar[Block] = Block(norm="layer", placement="post", feed_forward="gelu", final_norm="none")
    position: ClassVar[str] = "sinusoidal"

    def __init__(self, width: int, *, heads: Positive = 4, kernel: KernelName = "auto") -> None:
        head_width(width, heads, multiple=2)
        super().__init__(MultiHead(width, heads, kernel))
