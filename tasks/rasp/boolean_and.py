"""Boolean AND: will a model depend on bits that it never saw vary?

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): trained on 20 bits of which the last 5 are always 1, a
transformer learns the AND of all 20. The interpolator of least degree, a proposed account of what networks learn (Abbe
et al. 2023, "Generalization on the Unseen"), cannot depend on bits that never vary.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import within
from tasks.rasp._programs import all_true


class BooleanAnd(Task):
    """Are all bits 1? The last bits always are, in training.

    The length is the number of bits. Half of the questions are all ones. The others have zeros among the bits that
    vary, at random places and from one to all of them, each number equally likely; how the paper draws them is not
    known to us.

    Args:
        fixed: number of bits at the end that are always 1 in training.
        varied: the evaluation: now the zeros fall among these bits alone, so that who ignores them is right by half.

    Examples:
        1 0 1 1 1 1 1 -> 0
        1 1 1 1 1 1 1 -> 1
        varied=true: 1 1 1 0 1 1 0 -> 0
        fixed=1: 0 1 -> 0
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), the counterexample to min-degree interpolation"
    program = staticmethod(all_true)

    def __init__(self, *, fixed: int = 5, varied: bool = False) -> None:
        within("fixed", fixed, 1)
        self.fixed, self.varied = fixed, varied
        self.lengths = range(fixed + 1, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw whether all are ones, how many zeros otherwise, and where."""
        vary = self.fixed if self.varied else length - self.fixed
        all_ones = stream.integers(2, 1).bool()
        zeros = 1 + stream.integers(vary, 1)
        bits = (all_ones | (stream.permutation(vary) >= zeros)).long()
        ones = torch.ones(len(bits), length - vary, dtype=torch.long, device=bits.device)
        return torch.cat((ones, bits) if self.varied else (bits, ones), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Take the smallest bit."""
        return source.amin(dim=1, keepdim=True)
