"""No positions: a causal transformer can still infer order from its mask (Kazemnejad et al. 2023)."""

from architectures.parts.positions.base import Encoding


class NoPositions(Encoding):
    """An encoding that changes nothing."""

    reads_positions = False
