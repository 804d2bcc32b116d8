"""Transformer, encoder-decoder: an encoder reads the whole source, and a decoder attends to it.

Vaswani et al. 2017, "Attention Is All You Need".

Glossary (paper <-> code):
    N        layers of each stack      <-> depth
    d_model  channels                  <-> width  (D)
    h        heads                     <-> heads  (H)
    d_ff     inner channels            <-> 4 * width
    K, V of the encoder's output       <-> source_memory, a pair of [B, H, S, E] for each decoder layer
    LayerNorm(x + Sublayer(x))         <-> language_model.SubLayer, with norm=post

Embedding and pre-softmax map share one matrix; embeddings are scaled by ``sqrt(D)`` (section 3.4). The matrix starts
normal with standard deviation ``1 / sqrt(D)``, so that embeddings have unit variance like positions, and logits start
near one.

Differs from the paper: width, depth and learning-rate schedule; ``norm=pre`` (Xiong et al. 2020) adds a norm after each
stack; no label smoothing.
"""

import math
from collections.abc import Sequence
from typing import Literal, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from architectures.base import Block, Fraction, Positive, State
from architectures.language_model import NORMS, SubLayer
from architectures.parts.attention import KernelName, Memory, MultiHead, append_memory, attention_weights
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.feedforward import FeedForward
from architectures.parts.positions.sinusoidal import sinusoids


class EncoderLayer(nn.Module):
    """Self-attention in both directions, then the feed-forward network (section 3.1)."""

    def __init__(self, width: int, heads: int, block: Block, dropout: float, kernel: KernelName) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, kernel)
        self.feed_forward = FeedForward(width, "relu")
        self.attending, self.feeding = (SubLayer(width, block, dropout) for _ in range(2))

    def forward(self, x: Tensor) -> Tensor:
        """Map ``[B, S, D]`` to ``[B, S, D]``."""
        inner = self.attending.prepare(x)
        mixed = self.attention(self.attention.queries(inner), self.attention.memorize(inner))
        x = self.attending.add_residual(x, mixed)
        return self.feeding.add_residual(x, self.feed_forward(self.feeding.prepare(x)))


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the source, then the feed-forward network (section 3.1)."""

    def __init__(self, width: int, heads: int, block: Block, dropout: float, kernel: KernelName) -> None:
        super().__init__()
        self.attention = MultiHead(width, heads, kernel)
        self.cross = MultiHead(width, heads, kernel)
        self.feed_forward = FeedForward(width, "relu")
        self.attending, self.crossing, self.feeding = (SubLayer(width, block, dropout) for _ in range(3))

    def attend(self, x: Tensor, past: Memory) -> tuple[Tensor, Memory]:
        """Apply causal self-attention to ``[B, T, D]`` and the past memory; return the new memory too."""
        inner = self.attending.prepare(x)
        memory = append_memory(past, self.attention.memorize(inner))
        mixed = self.attention(self.attention.queries(inner), memory, causal=True)
        return self.attending.add_residual(x, mixed), memory

    def attend_source(self, x: Tensor, source_memory: Memory) -> Tensor:
        """Apply attention from ``[B, T, D]`` to the source, then the feed-forward network."""
        x = self.crossing.add_residual(x, self.cross(self.cross.queries(self.crossing.prepare(x)), source_memory))
        return self.feeding.add_residual(x, self.feed_forward(self.feeding.prepare(x)))

    def cross_weights(self, x: Tensor, source_memory: Memory) -> Tensor:
        """Return the attention weights ``[B, H, T, S]`` of :meth:`attend_source`."""
        return attention_weights(self.cross.queries(self.crossing.prepare(x)), source_memory[0])


class TransformerEncDec(EncoderDecoder):
    """The Transformer of the paper; source and answer share one alphabet.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D``, a multiple of ``heads``.
        depth: layers of each of the two stacks.
        heads: attention heads.
        dropout: probability, after the embedding and each sub-layer (section 5.4).
        norm: ``post`` is the paper's, after each residual sum; ``pre`` is before each sub-layer.
        kernel: as in ``parts/attention.py``; the reference is ``math``.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 2,
        heads: Positive = 4,
        dropout: Fraction = 0.0,
        norm: Literal["post", "pre"] = "post",
        kernel: KernelName = "auto",
    ) -> None:
        super().__init__(symbols)
        self.width = width
        layer_arguments = (width, heads, Block(placement=norm), dropout, kernel)
        self.embedding = nn.Embedding(len(symbols), width)
        nn.init.normal_(self.embedding.weight, std=width**-0.5)
        self.dropout = nn.Dropout(dropout)
        self.encoder = cast(Sequence[EncoderLayer], nn.ModuleList(EncoderLayer(*layer_arguments) for _ in range(depth)))
        self.decoder = cast(Sequence[DecoderLayer], nn.ModuleList(DecoderLayer(*layer_arguments) for _ in range(depth)))
        final = NORMS["layer" if norm == "pre" else "none"]
        self.encoder_norm, self.decoder_norm = final(width), final(width)

    def start(self, source: Tensor) -> State:
        """Encode ``[B, S]``; the state is (tokens fed, memories of source and past for each decoder layer)."""
        x = self.embed(source)
        for layer in self.encoder:
            x = layer(x)
        x = self.encoder_norm(x)
        return 0, [(layer.cross.memorize(x), layer.attention.empty_memory(len(x), x)) for layer in self.decoder]

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed prefix tokens ``[B, T]``; the logits are products with the embedding matrix."""
        time, memories = state
        x, new_memories = self.embed(prefix, time), []
        for layer, (source_memory, past) in zip(self.decoder, memories, strict=True):
            x, past = layer.attend(x, past)
            x = layer.attend_source(x, source_memory)
            new_memories.append((source_memory, past))
        return F.linear(self.decoder_norm(x), self.embedding.weight), (time + prefix.shape[1], new_memories)

    def embed(self, tokens: Tensor, start: int = 0) -> Tensor:
        """Embed ``[B, L]`` and add positions, starting at ``start`` (sections 3.4 and 3.5)."""
        positions = torch.arange(start, start + tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) * math.sqrt(self.width)
        return self.dropout(x + sinusoids(positions, self.width).to(x.dtype))

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return each decoder layer's weights over the source: ``cross 1``, ``cross 2``, ..., ``[B, H, T, S]``."""
        _, memories = self.start(source)
        x, weights = self.embed(self.decoder_input(source, prefix)), {}
        for index, (layer, (source_memory, past)) in enumerate(zip(self.decoder, memories, strict=True)):
            x, _ = layer.attend(x, past)
            weights[f"cross {index + 1}"] = layer.cross_weights(x, source_memory)
            x = layer.attend_source(x, source_memory)
        return weights
