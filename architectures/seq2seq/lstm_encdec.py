"""Sequence to sequence: an LSTM encodes the source into a vector of fixed size, and another decodes the answer.

Sutskever, Vinyals & Le 2014, "Sequence to Sequence Learning with Neural Networks", sections 2 and 3.

Glossary (paper <-> code):
    x_1 .. x_T    source, read last token first    <-> source with ``reverse_source``   (section 3.3)
    v             fixed-dimensional representation <-> state: (hidden, cell) of every layer, ``2 * depth`` of ``[B, D]``
    y_1 .. y_T'   answer                           <-> prefix, shifted by one
    LSTM          deep LSTM, one for each side     <-> encoder, decoder

Differs from the paper: 2 layers of 64 and not 4 of 1000; the source has no EOS symbol, and the answer begins with a
start symbol instead; torch's two bias vectors for each layer. All parameters start uniform in +-0.08 (section 3.4)
times sqrt(1000 / width). This is the paper's bound at its width and the same gain at other widths, without which small
models learn late.
"""

from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import LSTMLayer, RecurrenceKernel, embed, run_layers


class LSTMEncDec(EncoderDecoder):
    """Two stacks of LSTM layers; each decoder layer starts from the final state of its encoder layer.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D`` of embeddings and states.
        depth: layers on each side.
        dropout: probability, on the input of each layer and of the head, never between time steps.
        reverse_source: read the source from its last token, so that its beginning is nearest to that of the answer.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
    """

    def __init__(
        self,
        symbols: tuple[str, ...],
        *,
        width: Positive = 64,
        depth: Positive = 2,
        dropout: Fraction = 0.0,
        reverse_source: bool = True,
        kernel: RecurrenceKernel = "auto",
    ) -> None:
        super().__init__(symbols)
        self.reverse_source = reverse_source
        self.source_embedding = nn.Embedding(len(symbols), width)
        self.target_embedding = nn.Embedding(len(symbols), width)
        self.encoder = nn.ModuleList(LSTMLayer(width, width, kernel) for _ in range(depth))
        self.decoder = nn.ModuleList(LSTMLayer(width, width, kernel) for _ in range(depth))
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(width, len(symbols))
        bound = 0.08 * (1000 / width) ** 0.5
        for parameter in self.parameters():
            nn.init.uniform_(parameter, -bound, bound)

    def start(self, source: Tensor) -> State:
        """Encode the source ``[B, S]``; return (hidden, cell) of every layer."""
        tokens = source.flip(1) if self.reverse_source else source
        x = embed(self.source_embedding, tokens, self.dropout)
        return run_layers(self.encoder, x, [None] * len(self.encoder), self.dropout)[1]

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` from the state."""
        x, state = run_layers(self.decoder, embed(self.target_embedding, prefix, self.dropout), state, self.dropout)
        return self.head(self.dropout(x)), state
