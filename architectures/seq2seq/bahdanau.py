"""RNNsearch: before each output symbol the decoder attends to the whole source.

Bahdanau, Cho & Bengio 2014, "Neural Machine Translation by Jointly Learning to Align and Translate", section 3 and
appendix A.

Glossary (paper <-> code):
    h_j          annotation of source position j           <-> annotations   [B, S, 2D]
    s_i          decoder state                             <-> hidden        [B, D]
    e_ij, a_ij   energy and alignment                      <-> energy, alignment  [B, S]
    c_i          context, the expected annotation          <-> glimpse       [B, 2D]
    W_a, U_a, v_a   alignment model                        <-> query, key, score
    W_s          initial state                             <-> initial
    C, C_z, C_r  the context's weights in the gates        <-> into_gates
    U_o, V_o, C_o, W_o  deep output, maxout over pairs     <-> deep, head

    e_ij = v_a . tanh(W_a s_{i-1} + U_a h_j)     a_i = softmax(e_i)     c_i = sum_j a_ij h_j
    s_i = GRU(y_{i-1}, c_i; s_{i-1})             s_0 = tanh(W_s h_1 of the backward GRU)

Differs from the paper: the GRU is cuDNN's (``parts/recurrence.py``); the deep output reads ``s_i``, as equation 4 says
(appendix A.2.2 prints ``s_{i-1}``); embedding, alignment model, deep output and state share one width. Recurrent
matrices start orthogonal (appendix B.1), and all other parameters as in torch: the paper's standard deviation of 0.01
is meant for a width of 1000, and small models learn late with it.
"""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import GRULayer, RecurrenceKernel, embed, make_orthogonal


class Bahdanau(EncoderDecoder):
    """Bidirectional GRU encoder, GRU decoder with additive attention.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D`` of embeddings and states (annotations have ``2D``).
        dropout: probability, on the embeddings and the deep output.
        kernel: of the encoder. ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto``
            takes the fused operator except in a population, because torch cannot batch it over models. The decoder is
            always a loop.
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
        self.decoder = GRULayer(width, width, "loop")  # each step needs the attention result
        self.into_gates = nn.Linear(2 * width, 3 * width, bias=False)
        self.deep = nn.Linear(4 * width, 2 * width)
        self.head = nn.Linear(width, len(symbols))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.ahead, self.back, self.decoder):
            make_orthogonal(layer)

    def start(self, source: Tensor) -> State:
        """Encode the source ``[B, S]``; return (annotations, their keys ``U_a h``, the decoder's first state)."""
        embedded = embed(self.source_embedding, source, self.dropout)
        ahead, _ = self.ahead(embedded)
        back, (first,) = self.back(embedded)
        annotations = torch.cat((ahead, back), dim=-1)  # [B, S, 2D]
        return annotations, self.key(annotations), self.initial(first).tanh()

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` tokens."""
        return self._run(prefix, state, record=lambda alignment: None)

    def inspect(self, source: Tensor, prefix: Tensor | None) -> dict[str, Tensor]:
        """Return the alignment ``[B, T, S]``, a distribution over the source in each row."""
        alignments: list[Tensor] = []
        self._run(self.decoder_input(source, prefix), self.start(source), record=alignments.append)
        return {"alignment": torch.stack(alignments, dim=1)}

    def _run(self, prefix: Tensor, state: State, record: Callable[[Tensor], object]) -> tuple[Tensor, State]:
        """Return logits ``[B, T, V]`` and the new state; ``record`` is called with every alignment ``[B, S]``."""
        annotations, keys, hidden = state
        embedded = self.dropout(self.target_embedding(prefix))
        steps = []
        for projected in self.decoder.input_projection(embedded).unbind(1):
            alignment = self._align(hidden, keys)
            glimpse = (alignment[:, None] @ annotations)[:, 0]  # [B, 2D]
            (hidden,) = self.decoder.update(projected + self.into_gates(glimpse), (hidden,))
            steps.append((hidden, glimpse))
            record(alignment)
        states, glimpses = (torch.stack(tensors, dim=1) for tensors in zip(*steps, strict=True))
        return self._logits(states, embedded, glimpses), (annotations, keys, hidden)

    def _align(self, hidden: Tensor, keys: Tensor) -> Tensor:
        energy = self.score((self.query(hidden)[:, None] + keys).tanh())[..., 0]  # [B, S]
        return energy.softmax(dim=-1)

    def _logits(self, states: Tensor, embedded: Tensor, glimpses: Tensor) -> Tensor:
        """Apply the deep output: a linear layer, maxout over pairs of units, the head."""
        pairs = self.deep(torch.cat((states, embedded, glimpses), dim=-1)).unflatten(-1, (-1, 2))  # [B, T, D, 2]
        return self.head(self.dropout(pairs.amax(dim=-1)))
