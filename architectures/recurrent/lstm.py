"""LSTM: gates control what a cell forgets, stores and outputs.

Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; forget gates by Gers et al. 2000.

Glossary (paper <-> code, the equations are in ``parts/recurrence.py``):
    c_t  cell state       <-> cell      [B, D]
    h_t  hidden state     <-> hidden    [B, D]
    i, f, o  gates        <-> i, f, o   (order of the stacked weights: i, f, g, o)
    g    candidate        <-> g

Differs from the paper: no peepholes; torch's two bias vectors, so that the fused kernel takes the same weights.
"""

from architectures.parts.recurrence import LSTMLayer, RecurrentMixer


class LSTM(RecurrentMixer):
    """One LSTM layer; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input, hidden and cell state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
    """

    recurrence = LSTMLayer
