"""RNN encoder-decoder: a GRU reads the source into one vector, and another GRU looks at that vector at every step.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
sections 2.2 and 2.3, equations in appendix A.

Glossary (paper <-> code):
    e(x_t), e(y_t)   embeddings                       <-> source_embedding, target_embedding   [B, D]
    h<N>             last encoder state               <-> last                                 [B, D]
    V, c             summary of the source            <-> summarize, summary                   [B, D]
    V', h'<0>        first decoder state              <-> initial
    C, C_z, C_r      the summary's way into the gates <-> the second half of the decoder's input weights
    O_h, O_y, O_c    what the output looks at         <-> maxout
    G                rows of the output matrix        <-> head

    c = tanh(V h<N>)     h'<0> = tanh(V' c)     h'<t> = GRU(y_{t-1}, c; h'<t-1>)
    p(y_t) = softmax(G s)     s_i = max(s'_2i-1, s'_2i)     s' = O_h h'<t> + O_y y_{t-1} + O_c c

Differs from the paper: the GRU is cuDNN's (``parts/recurrence.py``), and the summary's part ``C c`` of the candidate
stands outside of its reset gate, as Bahdanau et al. have it, so that the summary is an input like the embedding and
the decoder runs as one fused operator. One matrix G, not a product of two; one width throughout; biases in all linear
maps. Recurrent matrices start orthogonal, as the paper's are (section 4.1.1: singular vectors of a Gaussian matrix);
all else as torch has it, because the paper's deviation of 0.01 is meant for a width of 1000.
"""

import torch
from torch import Tensor, nn

from architectures.base import Fraction, Positive, State
from architectures.parts.encoder_decoder import EncoderDecoder
from architectures.parts.recurrence import GRULayer, RecurrenceKernel, make_orthogonal


class RNNEncDec(EncoderDecoder):
    """One GRU on each side; the summary of the source is fed at every decoder step and to the output.

    Args:
        symbols: the alphabet; token ids are positions in it.
        width: channels ``D`` of embeddings, states and summary.
        dropout: probability, on the embeddings and the deep output.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused one except in a population, where torch cannot batch it.
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
        """Read the source ``[B, S]``; return (summary, the decoder's first state)."""
        _, (last,) = self.encoder(self.dropout(self.source_embedding(source)))
        summary = self.summarize(last).tanh()
        return summary, self.initial(summary).tanh()

    def decode(self, prefix: Tensor, state: State) -> tuple[Tensor, State]:
        """Run the decoder on ``[B, T]`` from the state."""
        summary, hidden = state
        embedded = self.dropout(self.target_embedding(prefix))
        everywhere = summary[:, None].expand(-1, prefix.shape[1], -1)  # [B, T, D]
        states, (hidden,) = self.decoder(torch.cat((embedded, everywhere), dim=-1), (hidden,))
        return self._write(states, embedded, everywhere), (summary, hidden)

    def _write(self, states: Tensor, embedded: Tensor, summary: Tensor) -> Tensor:
        """The larger of each pair of units, then the head."""
        pairs = self.maxout(torch.cat((states, embedded, summary), dim=-1)).unflatten(-1, (-1, 2))  # [B, T, D, 2]
        return self.head(self.dropout(pairs.amax(dim=-1)))
