"""N-back: return the symbol that stood a fixed number of places earlier.

Vasylenko et al. 2025 ("Long-Context Generalization with Sparse Attention") use it to compare position encodings:
attention needs positions to find the place, and a convolution of sufficient width needs nothing else.
"""

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.validation import AtLeastTwo, Positive


class NBack(Task):
    """Write at each position the symbol ``n`` places before it; the first ``n`` positions have no target.

    The length is that of the sequence, which is uniform.

    Args:
        n: number of places.
        alphabet: number of symbols ``s0``, ``s1``, ...

    Examples:
        s3 s1 s4 s1 s5 -> . . s3 s1 s4
        n=1: s3 s1 s4 -> . s3 s1
    """

    answer = "tag"
    paper = "Vasylenko et al. 2025 (arXiv 2506.16640), 2-back"

    def __init__(self, *, n: Positive = 2, alphabet: AtLeastTwo = 16) -> None:
        self.n = n
        self.symbols = tuple(f"s{i}" for i in range(alphabet))
        self.lengths = range(n + 1, 1 << 24)
        if n == 1:
            self.algorithm_readers = ("previous token",)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw symbols uniformly."""
        return stream.integers(len(self.symbols), length)

    def solve(self, source: Tensor) -> Tensor:
        """Shift the source to the right."""
        return torch.nn.functional.pad(source[:, : -self.n], (self.n, 0), value=IGNORE)
