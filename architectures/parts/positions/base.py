"""The contract of a position encoding; itself the encoding ``none``.

Without any encoding a causal transformer still sees order through its mask (Kazemnejad et al. 2023).
"""

from torch import Tensor, nn


class Encoding(nn.Module):
    """Three hooks, all of them neutral here.

    Class facts: ``in_attention`` says that it acts on queries, keys or scores and so needs an attention mixer;
    ``bounded`` that it has no value beyond ``reach`` positions.
    """

    in_attention: bool = False
    bounded: bool = False

    def __init__(self, width: int, reach: int) -> None:
        super().__init__()

    def embed(self, x: Tensor, positions: Tensor) -> Tensor:
        """Add to the embeddings ``[B, L, D]``; positions are long ``[L]``."""
        return x

    def rotate(self, x: Tensor, positions: Tensor) -> Tensor:
        """Turn queries or keys ``[B, H, L, E]``."""
        return x

    def bias(self, heads: int, queries: Tensor, keys: Tensor) -> Tensor | None:
        """Return what is added to the scores, ``[H, Lq, Lk]``, for the given positions; ``None`` for nothing."""
        return None
