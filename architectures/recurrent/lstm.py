"""LSTM: gates decide what a cell forgets, takes in and shows.

Hochreiter & Schmidhuber 1997, "Long Short-Term Memory"; forget gates by Gers et al. 2000.

Glossary (paper <-> code, the equations are in ``parts/recurrence.py``):
    c_t  cell state       <-> cell      [B, D]
    h_t  hidden state     <-> hidden    [B, D]
    i, f, o  gates        <-> i, f, o   (order of the stacked weights: i, f, g, o)
    g    candidate        <-> g

Differs from the paper: no peepholes, and torch's two bias vectors, so that the fused kernel takes the same weights.
"""

from architectures.parts.recurrence import LSTMLayer, RecurrentMixer


class LSTM(RecurrentMixer):
    """One LSTM layer; stacked bare, without norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input, hidden and cell state.
        kernel: ``loop`` is the equations, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused one except in a population, where torch cannot batch it.
    """

    recurrence = LSTMLayer
