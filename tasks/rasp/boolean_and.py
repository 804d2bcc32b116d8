"""Boolean AND: decide whether all bits are 1, including bits that are constant in training.

Zhou et al. 2023 ("What Algorithms can Transformers Learn?"): trained on 20 bits of which the last 5 are always 1, a
transformer learns the AND of all 20. The interpolator of least degree, a hypothesis about what networks learn (Abbe et
al. 2023, "Generalization on the Unseen"), cannot depend on bits that never vary.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.rasp._programs import all_true
from tasks.validation import Positive


class BooleanAnd(Task):
    """Decide whether all bits are 1; the last bits always are 1 in training.

    The length is the number of bits. Half of the sources are all ones. The others have zeros at random positions among
    the bits that vary, from one zero to all of them, and each number is equally likely. We do not know how the paper
    draws them.

    Args:
        fixed: number of bits at the end that are always 1 in training.
        varied: for the evaluation: zeros are only among these bits, so that a model that ignores them has accuracy 1/2.

    Examples:
        1 0 1 1 1 1 1 -> 0
        1 1 1 1 1 1 1 -> 1
        varied=true: 1 1 1 0 1 1 0 -> 0
        fixed=1: 0 1 -> 0
    """

    symbols = ("0", "1")
    answer = "readout"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), the counterexample to min-degree interpolation"
    algorithm_readers = ("bag of symbols", "counts modulo 2 and 3")
    program = staticmethod(all_true)

    def __init__(self, *, fixed: Positive = 5, varied: bool = False) -> None:
        self.fixed, self.varied = fixed, varied
        self.lengths = range(fixed + 1, 1 << 24)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw whether all bits are ones, and otherwise the number of zeros and their positions."""
        vary = self.fixed if self.varied else length - self.fixed
        all_ones = stream.integers(2, 1).bool()
        zeros = 1 + stream.integers(vary, 1)
        bits = (all_ones | (stream.permutation(vary) >= zeros)).long()
        ones = torch.ones(len(bits), length - vary, dtype=torch.long, device=bits.device)
        return torch.cat((ones, bits) if self.varied else (bits, ones), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Return the smallest bit."""
        return source.amin(dim=1, keepdim=True)
