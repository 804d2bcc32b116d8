"""No positions: a causal transformer still sees order through its mask (Kazemnejad et al. 2023)."""

from architectures.parts.positions.base import Encoding


class NoPositions(Encoding):
    """Changes nothing."""

    reads_places = False
