"""Prefix-scannable model: a transformer that merges two summaries of the past, applied over a balanced tree.

Yau et al. 2025, "Sequential-Parallel Duality in Prefix-Scannable Models" (arXiv 2506.10918), section 3, the version
with transformers. The stream is cut into chunks. Each chunk is answered from its tokens and one summary of all chunks
before it. Summaries are merged in pairs by a transformer, which need not be associative (``parts/scans/tree.py``).

Glossary (paper <-> code):
    c            tokens in a chunk                           <-> chunk
    Enc          embeds a chunk; its summary                 <-> embedding  [B, c, D]
    Agg          merges two summaries that are neighbours    <-> merge: ``depth`` layers over both, which see all
                                                                tokens; the second half is the new summary
    Inf          reads the summary before a chunk, then it   <-> read: ``depth`` causal layers; the second half gives
                                                                the logits
    e            summary before the first chunk, learned     <-> first      [c, D]

Training takes ``2 log2 K`` rounds of merges for K chunks. In steps, ``log2 K`` summaries are kept, and two merges for
each chunk suffice on average. With chunks of one token the depth of the model grows with the logarithm of the length.

Differs from the paper: ``transformer`` layers with rotary positions take the place of GPT-2's, whose positions are
learned; the places in a pair of summaries are the positions. The authors have published no code.
"""

import torch
from torch import Tensor, nn

from architectures.attention.encoder import Encoder
from architectures.attention.transformer import Transformer
from architectures.base import SHARED_BLOCK, Context, Fraction, Positive, SequenceModel, State
from architectures.language_model import Layer
from architectures.parts.positions import Setting
from architectures.parts.positions.rope import RoPE
from architectures.parts.scans.tree import Counter, prefixes


class PSM(SequenceModel):
    """A transformer over chunks, with summaries merged over a tree.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D``, a multiple of twice the heads.
        depth: layers that merge, and layers that read.
        chunk: tokens ``c`` in a chunk and in a summary.
        heads: attention heads.
        dropout: probability, after the embedding and each sub-layer.
    """

    can_step = True

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 2,
        chunk: Positive = 1,
        heads: Positive = 4,
        dropout: Fraction = 0.0,
    ) -> None:
        super().__init__(symbols)
        self.chunk, self.encoding = chunk, RoPE(Setting(width, heads))
        self.embedding, self.dropout = nn.Embedding(len(symbols), width), nn.Dropout(dropout)
        self.first = nn.Parameter(torch.randn(chunk, width))
        self.merge, self.read = (
            nn.ModuleList(Layer(mixer(width, heads=heads), width, SHARED_BLOCK, dropout) for _ in range(depth))
            for mixer in (Encoder, Transformer)
        )
        self.norm, self.merged = nn.LayerNorm(width), nn.LayerNorm(width)
        self.head = nn.Linear(width, len(symbols))

    def forward(self, source: Tensor, prefix: Tensor | None) -> Tensor:
        """Run the stream ``source + prefix``; return logits for the prefix, or for the source if there is none."""
        tokens = source if prefix is None else torch.cat((source, prefix), dim=1)
        rows, length = tokens.shape
        padded = nn.functional.pad(self.dropout(self.embedding(tokens)), (0, 0, 0, -length % self.chunk))
        chunks = padded.unflatten(1, (-1, self.chunk)).transpose(0, 1)  # [K, B, c, D]
        pasts = self.first.expand(1, rows, -1, -1)
        if len(chunks) > 1:
            pasts = torch.cat((pasts, prefixes(chunks[:-1], self._merge)))
        x = torch.cat((pasts, chunks), dim=2).flatten(0, 1)  # [K B, 2 c, D]
        context = self._context(x, 0)
        for layer in self.read:
            x = layer(x, context)
        logits = self.head(self.norm(x[:, self.chunk :])).unflatten(0, (-1, rows))  # [K, B, c, V]
        logits = logits.transpose(0, 1).flatten(1, 2)[:, :length]
        return logits if prefix is None else logits[:, source.shape[1] :]

    def start(self, source: Tensor) -> State:
        """Read the source by steps; the state is (tokens of the chunk, caches of the readers, counter of summaries)."""
        state: State = source.new_zeros(source.shape[0], 0), [], Counter()
        for token in source.unbind(1):
            state = self._advance(token, state)[1]
        return state

    def step(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Feed one token ``[B]``; the first of a chunk fetches the summary of all chunks before it."""
        x, state = self._advance(token, state)
        return self.head(self.norm(x)), state

    def _advance(self, token: Tensor, state: State) -> tuple[Tensor, State]:
        """Return what the readers make of a token, ``[B, D]``, and the next state."""
        tokens, caches, counter = state
        if tokens.shape[1] == 0:
            caches = self._read_past(counter.prefix(self._merge), len(token))
        x, new_caches = self.embedding(token), []
        context = self._context(x[:, None], self.chunk + tokens.shape[1])
        for layer, cache in zip(self.read, caches, strict=True):
            x, cache = layer.step(x, cache, context)  # type: ignore[operator]
            new_caches.append(cache)
        tokens = torch.cat((tokens, token[:, None]), dim=1)
        if tokens.shape[1] == self.chunk:
            counter, tokens = counter.add(self.embedding(tokens), self._merge), tokens[:, :0]
        return x, (tokens, new_caches, counter)

    def _read_past(self, past: Tensor | None, rows: int) -> list[State]:
        """Return the caches of the readers after the summary of all chunks before this one."""
        x, caches = self.first.expand(rows, -1, -1) if past is None else past, []
        context = self._context(x, 0)
        for layer in self.read:
            x, cache = layer.prefill(x, context)  # type: ignore[operator]
            caches.append(cache)
        return caches

    def _merge(self, left: Tensor, right: Tensor) -> Tensor:
        """Merge summaries ``[K, B, c, D]`` with their right neighbours."""
        x = torch.cat((left, right), dim=2).flatten(0, 1)
        context = self._context(x, 0)
        for layer in self.merge:
            x = layer(x, context)
        return self.merged(x[:, self.chunk :]).unflatten(0, left.shape[:2])

    def _context(self, x: Tensor, first: int) -> Context:
        """Return the context of consecutive places of a pair of summaries, or of a summary and a chunk."""
        positions = torch.arange(first, first + x.shape[1], device=x.device)
        tokens = torch.zeros(x.shape[:2], dtype=torch.long, device=x.device)
        return Context(tokens, positions, 0, self.encoding, training=self.training)
