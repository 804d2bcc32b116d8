"""Global attention: the decoder first moves on, then looks back over the source with what it has become.

Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", sections 3.1 and 3.3.

Glossary (paper <-> code):
    h-_s      encoder state of the top layer          <-> annotations        [B, S, D]
    h_t       decoder state of the top layer          <-> hidden             [B, T, D]
    a_t(s)    alignment weights                       <-> alignment          [B, T, S]
    c_t       context, the expected encoder state     <-> glimpse            [B, T, D]
    h~_t      attentional state                       <-> attentional        [B, T, D]
    W_a, v_a  of the scores                           <-> score: ``parts/alignment.py``
    W_c, W_s  into h~ and into the logits             <-> combine, head

    a_t = softmax(score)     c_t = sum_s a_t(s) h-_s     h~_t = tanh(W_c [c_t; h_t])     p(y_t) = softmax(W_s h~_t)

Input feeding (section 3.3): ``h~_{t-1}`` stands beside the embedding of ``y_{t-1}``, so that each look knows of the
ones before; zeros at first. Without it nothing waits for the attention, and the decoder runs as one fused operator.

Bahdanau's order is the other one: it attends with ``h_{t-1}`` and feeds the context to the recurrence.

Differs from the paper: 2 layers of 64 and not 4 of 1000; no local attention (section 3.2); torch's two bias vectors in
each layer. All parameters start uniform in +-0.1 (section 4.1) times sqrt(1000 / width), the gain at the paper's width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.alignment import SCORES, ScoreName
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.query_blocks import blocks
from architectures.parts.recurrence import LSTMLayer, RecurrenceKernel, climb

Watch = Callable[[Tensor], object]


class Luong(EncoderDecoder):
    """Two stacks of LSTM layers, as in ``lstm_encdec``, and attention between their top layers.

    Args:
        symbols: the alphabet; token ids are positions in it.
        width: channels ``D`` of embeddings and states.
        depth: layers on each side.
        dropout: probability, on what enters each layer and the head, never between time steps.
        score: how a decoder state is compared with an encoder state.
        input_feeding: the attentional state enters the next step's input; the decoder is a loop then.
        reverse_source: read the source from its last token (section 4.1); attention sees it in its own order.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused one except in a population, where torch cannot batch it. A decoder with input feeding is a loop.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 2,
        dropout: Fraction = 0.0,
        score: ScoreName = "general",
        input_feeding: bool = True,
        reverse_source: bool = True,
        kernel: RecurrenceKernel = "auto",
    ) -> None:
        super().__init__(symbols)
        self.width, self.input_feeding = width, input_feeding
        self.source_embedding = nn.Embedding(len(symbols), width)
        self.target_embedding = nn.Embedding(len(symbols), width)
        self.encoder = nn.ModuleList(LSTMLayer(width, width, kernel, reverse_source) for _ in range(depth))
        fed = [2 * width if input_feeding else width] + [width] * (depth - 1)
        waits = "loop" if input_feeding else kernel
        self.decoder = nn.ModuleList(LSTMLayer(inputs, width, waits) for inputs in fed)
        self.score = SCORES[score](width)
        self.combine = nn.Linear(2 * width, width, bias=False)
        self.head = nn.Linear(width, len(symbols), bias=False)
        self.dropout = nn.Dropout(dropout)
        bound = 0.1 * (1000 / width) ** 0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def start(self, source: Tensor) -> State:
        """Read ``[B, S]``; return (annotations, keys, (hidden, cell) of every layer, the attentional state: zeros)."""
        nothing = [None] * len(self.encoder)
        annotations, layers = climb(self.encoder, self.source_embedding(source), nothing, self.dropout)
        return annotations, self.score.keys(annotations), layers, torch.zeros_like(annotations[:, 0])

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` and attend."""
        return self._run(prefix, state, watch=lambda alignment: None)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the alignment ``[B, T, S]``, a distribution over the source in each row."""
        alignments: list[Tensor] = []
        self._run(self.fed(source, prefix), self.start(source), watch=alignments.append)
        return {"alignment": torch.cat(alignments, dim=1)}

    def _run(self, prefix: Tensor, state: State, watch: Watch) -> tuple[Tensor, State]:
        """Return logits ``[B, T, V]`` and the state after them; ``watch`` is given all alignments ``[B, part, S]``."""
        embedded = self.target_embedding(prefix)
        advance = self._feed if self.input_feeding else self._advance
        attentional, state = advance(embedded, state, watch)
        return self.head(self.dropout(attentional)), state

    def _feed(self, embedded: Tensor, state: State, watch: Watch) -> tuple[Tensor, State]:
        """Advance position by position, each with the attentional state of the one before."""
        seen = []
        for each in embedded.split(1, dim=1):
            fed = torch.cat((each, state[-1][:, None]), dim=-1)  # [B, 1, 2D]
            attentional, state = self._advance(fed, state, watch)
            seen.append(attentional)
        return torch.cat(seen, dim=1), state

    def _advance(self, x: Tensor, state: State, watch: Watch) -> tuple[Tensor, State]:
        """Return the attentional states ``[B, T, D]`` and the state after them."""
        annotations, keys, layers, _ = state
        hidden, layers = climb(self.decoder, x, layers, self.dropout)
        glimpses = []
        for rows, _ in blocks(hidden.shape[1], annotations.shape[1]):
            alignment = self.score(hidden[:, rows], annotations, keys).softmax(dim=-1)
            glimpses.append(alignment @ annotations)
            watch(alignment)
        attentional = self.combine(torch.cat((torch.cat(glimpses, dim=1), hidden), dim=-1)).tanh()
        return attentional, (annotations, keys, layers, attentional[:, -1])
