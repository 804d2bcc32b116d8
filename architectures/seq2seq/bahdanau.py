"""RNNsearch: before each word the decoder looks over the whole source and decides where to read.

Bahdanau, Cho & Bengio 2014, "Neural Machine Translation by Jointly Learning to Align and Translate", section 3 and
appendix A.

Glossary (paper <-> code):
    h_j          annotation of source position j           <-> annotations   [B, S, 2D]
    s_i          decoder state                             <-> hidden        [B, D]
    e_ij, a_ij   energy and alignment                      <-> energy, alignment  [B, S]
    c_i          context, the expected annotation          <-> glimpse       [B, 2D]
    W_a, U_a, v_a   alignment model                        <-> query, key, score
    W_s          initial state                             <-> initial
    C, C_z, C_r  the context's way into the gates          <-> into_gates
    U_o, V_o, C_o, W_o  deep output, maxout over pairs     <-> deep, head

    e_ij = v_a . tanh(W_a s_{i-1} + U_a h_j)     a_i = softmax(e_i)     c_i = sum_j a_ij h_j
    s_i = GRU(y_{i-1}, c_i; s_{i-1})             s_0 = tanh(W_s h_1 of the backward GRU)

Differs from the paper: the GRU is cuDNN's (``parts/recurrence.py``); the deep output reads ``s_i``, as equation 4 says
(appendix A.2.2 prints ``s_{i-1}``); embedding, alignment model, deep output and state share one width. Recurrent
matrices start orthogonal (appendix B.1), all else as torch has it: with the paper's deviation of 0.01, meant for a
width of 1000, small models learn late.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import GRULayer, RecurrenceKernel, make_orthogonal


class Bahdanau(EncoderDecoder):
    """Bidirectional GRU encoder, GRU decoder with additive attention.

    Args:
        symbols: the alphabet; token ids are positions in it.
        width: channels ``D`` of embeddings and states (annotations have ``2D``).
        dropout: probability, on the embeddings and the deep output.
        kernel: of the encoder. ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto``
            takes the fused one except in a population, where torch cannot batch it. The decoder is always a loop.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        dropout: Fraction = 0.0,
        kernel: RecurrenceKernel = "auto",
    ) -> None:
        super().__init__(symbols)
        self.source_embedding = nn.Embedding(len(symbols), width)
        self.target_embedding = nn.Embedding(len(symbols), width)
        self.ahead = GRULayer(width, width, kernel)
        self.back = GRULayer(width, width, kernel, reverse=True)
        self.initial = nn.Linear(width, width)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(2 * width, width, bias=False)
        self.score = nn.Linear(width, 1, bias=False)
        self.decoder = GRULayer(width, width, "loop")  # each step waits for the attention
        self.into_gates = nn.Linear(2 * width, 3 * width, bias=False)
        self.deep = nn.Linear(4 * width, 2 * width)
        self.head = nn.Linear(width, len(symbols))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.ahead, self.back, self.decoder):
            make_orthogonal(layer)

    def start(self, source: Tensor) -> State:
        """Annotate the source ``[B, S]``; return (annotations, their keys ``U_a h``, the decoder's first state)."""
        embedded = self.dropout(self.source_embedding(source))
        ahead, _ = self.ahead(embedded)
        back, (first,) = self.back(embedded)
        annotations = torch.cat((ahead, back), dim=-1)  # [B, S, 2D]
        return annotations, self.key(annotations), self.initial(first).tanh()

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Search and write, for ``[B, T]`` tokens."""
        return self._search(prefix, state, watch=lambda alignment: None)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the alignment ``[B, T, S]``, a distribution over the source in each row."""
        alignments: list[Tensor] = []
        self._search(self.fed(source, prefix), self.start(source), watch=alignments.append)
        return {"alignment": torch.stack(alignments, dim=1)}

    def _search(self, prefix: Tensor, state: State, watch: Callable[[Tensor], object]) -> tuple[Tensor, State]:
        """Return logits ``[B, T, V]`` and the state after them; ``watch`` is given every alignment ``[B, S]``."""
        annotations, keys, hidden = state
        embedded = self.dropout(self.target_embedding(prefix))
        seen = []
        for driven in self.decoder.drive(embedded).unbind(1):
            alignment = self._align(hidden, keys)
            glimpse = (alignment[:, None] @ annotations)[:, 0]  # [B, 2D]
            (hidden,) = self.decoder.update(driven + self.into_gates(glimpse), (hidden,))
            seen.append((hidden, glimpse))
            watch(alignment)
        states, glimpses = (torch.stack(each, dim=1) for each in zip(*seen, strict=True))
        return self._write(states, embedded, glimpses), (annotations, keys, hidden)

    def _align(self, hidden: Tensor, keys: Tensor) -> Tensor:
        energy = self.score((self.query(hidden)[:, None] + keys).tanh())[..., 0]  # [B, S]
        return energy.softmax(dim=-1)

    def _write(self, states: Tensor, embedded: Tensor, glimpses: Tensor) -> Tensor:
        """Deep output: a linear layer, the larger of each pair of units, the head."""
        pairs = self.deep(torch.cat((states, embedded, glimpses), dim=-1)).unflatten(-1, (-1, 2))  # [B, T, D, 2]
        return self.head(self.dropout(pairs.amax(dim=-1)))
