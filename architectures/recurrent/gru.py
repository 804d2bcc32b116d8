"""GRU: an update gate interpolates between state and candidate; a reset gate controls the candidate's recurrence.

Cho et al. 2014, "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
section 2.3; named and compared by Chung et al. 2014.

Glossary (paper <-> code, the equations are in ``parts/recurrence.py``):
    h_t      hidden state   <-> hidden   [B, D]
    r, z     reset, update  <-> r, z     (order of the stacked weights: r, z, n)
    h~       candidate      <-> n

Differs from the paper, as cuDNN does: the reset gate acts after the recurrent product and not before it, and the
product has a bias of its own. The encoder-decoder of the same paper is ``seq2seq/rnn_encdec.py``.
"""

from architectures.parts.recurrence import GRULayer, RecurrentMixer


class GRU(RecurrentMixer):
    """One GRU layer; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and hidden state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
    """

    recurrence = GRULayer
