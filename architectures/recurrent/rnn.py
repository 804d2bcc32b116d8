"""Simple recurrent network: the hidden state of one step is part of the input of the next.

Elman 1990, "Finding Structure in Time", section "Networks with memory".

Glossary (paper <-> code, the equation is in ``parts/recurrence.py``):
    input units    <-> x        [B, L, D]
    hidden units   <-> hidden   [B, D]
    context units  <-> state    [B, D], the hidden units of the previous step

    h_t = tanh(W x_t + U h_{t-1} + b)

Differs from the paper: tanh instead of the logistic function, so that states are centred on zero; full backpropagation
through time, not truncated after one step; zeros for the first context (the paper has 0.5, the middle of the logistic
function's range); torch's two bias vectors, so that the fused kernel takes the same weights.
"""

from architectures.parts.recurrence import RecurrentMixer, RNNLayer


class RNN(RecurrentMixer):
    """One layer of hidden and context units; its native block has no norms, residuals or feed-forward.

    Args:
        width: channels ``D`` of input and hidden state.
        kernel: ``loop`` is the equation, step by step; ``torch`` is torch's fused operator; ``auto`` takes the
            fused operator except in a population, because torch cannot batch it over models.
    """

    recurrence = RNNLayer
