"""The contract of a position encoding; itself the encoding ``none``.

Without any encoding a causal transformer still sees order through its mask (Kazemnejad et al. 2023).
"""

from dataclasses import dataclass

from torch import Tensor, nn

from architectures.base import Context


@dataclass(frozen=True)
class Setting:
    """What an encoding may be made for: channels of the stream, attention heads, positions, alphabet."""

    width: int
    heads: int = 1
    reach: int = 0
    symbols: tuple[str, ...] = ()


class Encoding(nn.Module):
    """Four hooks, all of them neutral here. ``context.positions`` are the places of what is given.

    Class facts: ``in_attention`` says that it acts on queries, keys or scores and so needs an attention mixer;
    ``bounded`` that it has no value beyond ``reach`` positions; ``steps`` that a token's encoding needs no other token;
    ``squeezes`` that places between two whole numbers mean something.
    """

    in_attention: bool = False
    bounded: bool = False
    steps: bool = True
    squeezes: bool = True

    def __init__(self, setting: Setting) -> None:
        super().__init__()

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add to the embeddings ``[B, L, D]``."""
        return x

    def query(self, q: Tensor, context: Context) -> Tensor:
        """Change queries ``[B, H, L, E]``."""
        return q

    def key(self, k: Tensor, context: Context) -> Tensor:
        """Change keys ``[B, H, L, E]``, of as many or fewer heads; a cache keeps what is returned."""
        return k

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor | None:
        """Return what is added to the scaled scores, ``[(B,) H, Lq, Lk]``; ``None`` for nothing.

        ``q`` are the queries ``[B, H, Lq, E]`` that :meth:`query` returned; ``keys`` are the places ``[Lk]`` of the
        keys, whose last ones are the places of the queries.
        """
        return None
