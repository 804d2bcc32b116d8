"""Position encodings, one a file: what a position looks like to the model.

An encoding has three places to act: on the embeddings (``embed``), on queries and keys (``rotate``), or on the
attention scores (``bias``). Each file overrides one of them.
"""

from typing import Literal

from architectures.parts.positions.alibi import ALiBi
from architectures.parts.positions.base import Encoding
from architectures.parts.positions.learned import Learned
from architectures.parts.positions.rope import RoPE
from architectures.parts.positions.sinusoidal import Sinusoidal

PositionName = Literal["native", "none", "sinusoidal", "learned", "rope", "alibi"]

ENCODINGS: dict[str, type[Encoding]] = {
    "none": Encoding,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "rope": RoPE,
    "alibi": ALiBi,
}


def make_encoding(name: str, width: int, reach: int) -> Encoding:
    """Build the encoding ``name`` for a stream of ``width`` channels and, where it is bounded, ``reach`` positions."""
    return ENCODINGS[name](width, reach)
