"""Position encodings, one in each file: they turn position ids into vectors or attention biases.

An encoding can change the embeddings (``embed``), the queries and keys (``query``, ``key``) or the attention scores
(``bias``). Each file overrides the methods that it needs.
"""

from typing import Literal

from architectures.parts.positions.abacus import Abacus
from architectures.parts.positions.alibi import ALiBi
from architectures.parts.positions.base import Encoding, Setting
from architectures.parts.positions.fire import FIRE
from architectures.parts.positions.learned import Learned
from architectures.parts.positions.none import NoPositions
from architectures.parts.positions.rope import RoPE
from architectures.parts.positions.sinusoidal import Sinusoidal
from architectures.parts.positions.t5 import T5
from architectures.parts.positions.transformer_xl import TransformerXL

__all__ = ["ENCODINGS", "Encoding", "Misplaced", "PositionName", "Setting", "make_encoding"]

PositionName = Literal[
    "native", "none", "sinusoidal", "learned", "abacus", "rope", "alibi", "t5", "transformer_xl", "fire"
]

ENCODINGS: dict[str, type[Encoding]] = {
    "none": NoPositions,
    "sinusoidal": Sinusoidal,
    "learned": Learned,
    "abacus": Abacus,
    "rope": RoPE,
    "alibi": ALiBi,
    "t5": T5,
    "transformer_xl": TransformerXL,
    "fire": FIRE,
}


class Misplaced(ValueError):
    """A position encoding that does not work with the mixer or with the option ``places``."""


def make_encoding(name: str, places: str, setting: Setting, *, attends: bool, places_read: bool = False) -> Encoding:
    """Build the encoding ``name``; :class:`Misplaced` if it does not work with the mixer or with ``places``.

    Args:
        name: a key of :data:`ENCODINGS`.
        places: the option that assigns position ids (``parts/position_ids.py``).
        setting: sizes and alphabet.
        attends: whether the mixer has attention.
        places_read: whether the mixer reads position ids itself.
    """
    encoding = ENCODINGS[name]
    if encoding.in_attention and not attends:
        others = ", ".join(other for other, cls in ENCODINGS.items() if not cls.in_attention)
        raise Misplaced(f"position={name} works inside attention, which this mixer does not have; choose from {others}")
    if places != "identity" and not (encoding.reads_positions or places_read):
        raise Misplaced(f"places={places} has no effect, because position={name} ignores position ids; leave it out")
    if places == "ntk" and encoding is not RoPE:
        raise Misplaced(f"places=ntk scales the frequencies of position=rope, not of {name}; try places=linear")
    if places == "linear" and not encoding.interpolates:
        raise Misplaced(f"places=linear needs fractional positions, which position={name} lacks; try places=identity")
    return encoding(setting)
