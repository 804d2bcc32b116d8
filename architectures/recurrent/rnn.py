"""Simple recurrent network: the hidden state of one moment is part of the input of the next.

Elman 1990, "Finding Structure in Time", section "Networks with memory".

Glossary (paper <-> code, the equation is in ``parts/recurrence.py``):
    input units    <-> x        [B, L, D]
    hidden units   <-> hidden   [B, D]
    context units  <-> state    [B, D], the hidden units of the moment before

    h_t = tanh(W x_t + U h_{t-1} + b)

Differs from the paper: tanh for the logistic function, so that states are centred on zero; gradients run through all
of time, not one step back; zeros for the first context (the paper has 0.5, the logistic function's middle); torch's
two bias vectors, so that the fused kernel takes the same weights.
"""

from architectures.parts.recurrence import RecurrentMixer, RNNLayer


class RNN(RecurrentMixer):
    """One layer of hidden and context units; stacked bare, without norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and hidden state.
        kernel: ``loop`` is the equation, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused one except in a population, where torch cannot batch it.
    """

    recurrence = RNNLayer
