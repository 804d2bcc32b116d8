"""The contract of a position encoding."""

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
    """Four hooks, all of them neutral. ``context.positions`` are the places of what is given.

    Class facts: ``in_attention`` says that it acts on queries, keys or scores and so needs an attention mixer;
    ``bounded`` that it has no value beyond ``reach`` positions; ``steps`` that a token's encoding needs no other token;
    ``squeezes`` that places between two whole numbers mean something; ``reads_places`` that it looks at places at all.
    """

    in_attention: bool = False
    bounded: bool = False
    steps: bool = True
    squeezes: bool = True
    reads_places: bool = True

    def __init__(self, setting: Setting) -> None:
        super().__init__()

    @property
    def biases(self) -> bool:
        """Whether something is added to the scores."""
        return type(self).bias is not Encoding.bias

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

        ``q`` are queries ``[B, H, Lq, E]`` that :meth:`query` returned, at ``context.positions``; ``keys`` are the
        places ``[Lk]`` of keys. Long sequences ask for some queries and some keys at a time.
        """
        return None
