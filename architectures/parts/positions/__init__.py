"""Position encodings, one a file: what a position looks like to the model.

An encoding has four places to act: on the embeddings (``embed``), on queries and on keys (``query``, ``key``), or on
the attention scores (``bias``). Each file overrides what it needs.
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
    """An encoding that this mixer, or these places, have no use for."""


def make_encoding(name: str, places: str, setting: Setting, *, attends: bool, places_read: bool = False) -> Encoding:
    """Build the encoding ``name``; :class:`Misplaced` where a mixer or the places have no use for it.

    ``places_read`` says that the mixer looks at places itself.
    """
    kind = ENCODINGS[name]
    if kind.in_attention and not attends:
        outside = ", ".join(other for other, each in ENCODINGS.items() if not each.in_attention)
        raise Misplaced(f"position={name} works inside attention, which this mixer has not; choose from {outside}")
    if places != "identity" and not (kind.reads_places or places_read):
        raise Misplaced(f"places={places} changes nothing, as position={name} looks at no places; leave it out")
    if places == "ntk" and kind is not RoPE:
        raise Misplaced(f"places=ntk bends the frequencies of position=rope, not of {name}; try places=linear")
    if places == "linear" and not kind.squeezes:
        raise Misplaced(f"places=linear puts tokens between the positions that {name} has; try places=identity")
    return kind(setting)
