"""The base class of position encodings."""

from dataclasses import dataclass

from torch import Tensor, nn

from architectures.base import Context


@dataclass(frozen=True)
class Setting:
    """The sizes that an encoding is built for: channels, attention heads, number of position ids, alphabet."""

    width: int
    heads: int = 1
    reach: int = 0
    symbols: tuple[str, ...] = ()


class Encoding(nn.Module):
    """Four methods that change nothing by default; ``context.positions`` are the position ids of ``x``, ``q`` or ``k``.

    Class attributes:
        in_attention: the encoding acts on queries, keys or scores, so it needs an attention mixer.
        bounded: the encoding is undefined beyond ``reach`` positions.
        can_step: the encoding of a token needs no other token.
        interpolates: the encoding supports positions between two integers.
        reads_positions: the encoding depends on position ids.
        bias_reads_queries: the bias depends on the queries, and not only on position ids, so layers cannot share it.
    """

    in_attention: bool = False
    bounded: bool = False
    can_step: bool = True
    interpolates: bool = True
    reads_positions: bool = True
    bias_reads_queries: bool = True

    def __init__(self, setting: Setting) -> None:
        super().__init__()

    @property
    def biases(self) -> bool:
        """Whether this encoding adds a bias to the scores."""
        return type(self).bias is not Encoding.bias

    def embed(self, x: Tensor, context: Context) -> Tensor:
        """Add to the embeddings ``[B, L, D]``."""
        return x

    def query(self, q: Tensor, context: Context) -> Tensor:
        """Change queries ``[B, H, L, E]``."""
        return q

    def key(self, k: Tensor, context: Context) -> Tensor:
        """Change keys ``[B, G, L, E]``, with as many or fewer heads; the cache stores the result."""
        return k

    def bias(self, q: Tensor, keys: Tensor, context: Context) -> Tensor | None:
        """Return a bias ``[(B,) H, Lq, Lk]`` that is added to the scaled scores, or ``None``.

        ``q`` are queries ``[B, H, Lq, E]`` from :meth:`query`, at ``context.positions``. ``keys`` are the position ids
        ``[Lk]`` of the keys. For long sequences it is called for blocks of queries and keys.
        """
        return None
