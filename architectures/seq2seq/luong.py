"""Global attention: the decoder first updates its state, then attends to the source with the new state.

Luong, Pham & Manning 2015, "Effective Approaches to Attention-based Neural Machine Translation", sections 3.1 and 3.3.

Glossary (paper <-> code):
    h-_s      encoder state of the top layer          <-> annotations        [B, S, D]
    h_t       decoder state of the top layer          <-> hidden             [B, T, D]
    a_t(s)    alignment weights                       <-> alignment          [B, T, S]
    c_t       context, the expected encoder state     <-> glimpse            [B, T, D]
    h~_t      attentional state                       <-> attentional        [B, T, D]
    W_a, v_a  of the scores                           <-> score: ``parts/alignment.py``
    W_c, W_s  maps to h~ and to the logits            <-> combine, head

    a_t = softmax(score)     c_t = sum_s a_t(s) h-_s     h~_t = tanh(W_c [c_t; h_t])     p(y_t) = softmax(W_s h~_t)

Input feeding (section 3.3): ``h~_{t-1}``, zeros at first, is concatenated with the embedding of ``y_{t-1}``, so that
each alignment can depend on earlier ones. Without it the recurrence does not depend on the attention, and the decoder
runs as one fused operator.

Bahdanau's order is the opposite: it attends with ``h_{t-1}`` and feeds the context to the recurrence.

Differs from the paper: 2 layers of 64 and not 4 of 1000; no local attention (section 3.2); torch's two bias vectors in
each layer. All parameters start uniform in +-0.1 (section 4.1) times sqrt(1000 / width), which keeps the gain of the
paper's width.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.alignment import SCORES, ScoreName
from architectures.parts.blockwise import blocks
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import LSTMLayer, RecurrenceKernel, embed, run_layers

Record = Callable[[Tensor], object]
"""Called with alignments ``[B, part, S]``; the result is ignored."""


class Luong(EncoderDecoder):
    """Two stacks of LSTM layers, as in ``lstm_encdec``, and attention between their top layers.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D`` of embeddings and states.
        depth: layers on each side.
        dropout: probability, on the input of each layer and of the head, never between time steps.
        score: how a decoder state is compared with an encoder state (``parts/alignment.py``).
        input_feeding: whether the attentional state is part of the next step's input; the decoder is then a loop.
        reverse_source: read the source from its last token (section 4.1); attention uses the original order.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models. A decoder with input
            feeding is a loop.
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
        input_widths = [2 * width if input_feeding else width] + [width] * (depth - 1)
        decoder_kernel = "loop" if input_feeding else kernel
        self.decoder = nn.ModuleList(LSTMLayer(inputs, width, decoder_kernel) for inputs in input_widths)
        self.score = SCORES[score](width)
        self.combine = nn.Linear(2 * width, width, bias=False)
        self.head = nn.Linear(width, len(symbols), bias=False)
        self.dropout = nn.Dropout(dropout)
        bound = 0.1 * (1000 / width) ** 0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def start(self, source: Tensor) -> State:
        """Encode ``[B, S]``; return (annotations, keys, (hidden, cell) of every layer, attentional state: zeros)."""
        initial = [None] * len(self.encoder)
        annotations, layers = run_layers(
            self.encoder, embed(self.source_embedding, source, self.dropout), initial, self.dropout
        )
        return annotations, self.score.keys(annotations), layers, torch.zeros_like(annotations[:, 0])

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` and attend."""
        return self._run(prefix, state, record=lambda alignment: None)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the alignment ``[B, T, S]``, a distribution over the source in each row."""
        alignments: list[Tensor] = []
        self._run(self.decoder_input(source, prefix), self.start(source), record=alignments.append)
        return {"alignment": torch.cat(alignments, dim=1)}

    def _run(self, prefix: Tensor, state: State, record: Record) -> tuple[Tensor, State]:
        """Return logits ``[B, T, V]`` and the new state; ``record`` is called with alignments ``[B, part, S]``."""
        embedded = self.target_embedding(prefix)
        advance = self._feed if self.input_feeding else self._advance
        attentional, state = advance(embedded, state, record)
        return self.head(self.dropout(attentional)), state

    def _feed(self, embedded: Tensor, state: State, record: Record) -> tuple[Tensor, State]:
        """Advance position by position, each with the previous attentional state as part of the input."""
        outputs = []
        for token in embedded.split(1, dim=1):
            inputs = torch.cat((token, state[-1][:, None]), dim=-1)  # [B, 1, 2D]
            attentional, state = self._advance(inputs, state, record)
            outputs.append(attentional)
        return torch.cat(outputs, dim=1), state

    def _advance(self, x: Tensor, state: State, record: Record) -> tuple[Tensor, State]:
        """Return the attentional states ``[B, T, D]`` and the new state."""
        annotations, keys, layers, _ = state
        hidden, layers = run_layers(self.decoder, self.dropout(x), layers, self.dropout)
        glimpses = []
        for rows, _ in blocks(hidden.shape[1], annotations.shape[1]):
            alignment = self.score(hidden[:, rows], annotations, keys).softmax(dim=-1)
            glimpses.append(alignment @ annotations)
            record(alignment)
        attentional = self.combine(torch.cat((torch.cat(glimpses, dim=1), hidden), dim=-1)).tanh()
        return attentional, (annotations, keys, layers, attentional[:, -1])
