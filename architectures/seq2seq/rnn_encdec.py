"""RNN encoder-decoder: a GRU encodes the source into one vector, and another GRU reads that vector at every step.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
sections 2.2 and 2.3, equations in appendix A.

Glossary (paper <-> code):
    e(x_t), e(y_t)   embeddings                       <-> source_embedding, target_embedding   [B, D]
    h<N>             last encoder state               <-> last                                 [B, D]
    V, c             summary of the source            <-> summarize, summary                   [B, D]
    V', h'<0>        first decoder state              <-> initial
    C, C_z, C_r      the summary's weights in gates   <-> the second half of the decoder's input weights
    O_h, O_y, O_c    weights of the output            <-> maxout
    G                rows of the output matrix        <-> head

    c = tanh(V h<N>)     h'<0> = tanh(V' c)     h'<t> = GRU(y_{t-1}, c; h'<t-1>)
    p(y_t) = softmax(G s)     s_i = max(s'_2i-1, s'_2i)     s' = O_h h'<t> + O_y y_{t-1} + O_c c

Differs from the paper: the GRU is cuDNN's (``parts/recurrence.py``). The term ``C c`` of the candidate is outside the
reset gate, as in Bahdanau et al.; the summary is therefore an input like the embedding, and the decoder runs as one
fused operator. G is one matrix, not a product of two; there is one width throughout, and all linear maps have biases.
Recurrent matrices start orthogonal, as in the paper (section 4.1.1: singular vectors of a Gaussian matrix). All other
parameters start as in torch, because the paper's standard deviation of 0.01 is meant for a width of 1000.
"""

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import GRULayer, RecurrenceKernel, embed, make_orthogonal


class RNNEncDec(EncoderDecoder):
    """One GRU on each side; the summary of the source is an input of every decoder step and of the output.

    Args:
        symbols: the alphabet; token ids are indices into it.
        width: channels ``D`` of embeddings, states and summary.
        dropout: probability, on the embeddings and the deep output.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
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
        self.encoder = GRULayer(width, width, kernel)
        self.summarize = nn.Linear(width, width)
        self.initial = nn.Linear(width, width)
        self.decoder = GRULayer(2 * width, width, kernel)
        self.maxout = nn.Linear(3 * width, 2 * width)
        self.head = nn.Linear(width, len(symbols))
        self.dropout = nn.Dropout(dropout)
        for layer in (self.encoder, self.decoder):
            make_orthogonal(layer)

    def start(self, source: Tensor) -> State:
        """Encode the source ``[B, S]``; return (summary, the decoder's first state)."""
        _, (last,) = self.encoder(embed(self.source_embedding, source, self.dropout))
        summary = self.summarize(last).tanh()
        return summary, self.initial(summary).tanh()

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` from the state."""
        summary, hidden = state
        embedded = self.dropout(self.target_embedding(prefix))
        repeated = summary[:, None].expand(-1, prefix.shape[1], -1)  # [B, T, D]
        states, (hidden,) = self.decoder(torch.cat((embedded, repeated), dim=-1), (hidden,))
        return self._logits(states, embedded, repeated), (summary, hidden)

    def _logits(self, states: Tensor, embedded: Tensor, summary: Tensor) -> Tensor:
        """Apply maxout over pairs of units, then the head."""
        pairs = self.maxout(torch.cat((states, embedded, summary), dim=-1)).unflatten(-1, (-1, 2))  # [B, T, D, 2]
        return self.head(self.dropout(pairs.amax(dim=-1)))
