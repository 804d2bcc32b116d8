"""Counter-based random streams: the same data on every device, at every batch size, alone or in a population.

Each row of a batch owns a 64-bit key, hashed from (seed, task, purpose, step, row). Its n-th number is a hash of the
key and n, so no state is shared between rows and nothing depends on how many rows are drawn together. The hash is the
finaliser of SplitMix64 (Steele et al. 2014), in wrapping int64 arithmetic, which is exact on CPU and GPU alike.
"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor

_GAMMA = 0x9E3779B97F4A7C15 - (1 << 64)
_MULTIPLIER_1 = 0xBF58476D1CE4E5B9 - (1 << 64)
_MULTIPLIER_2 = 0x94D049BB133111EB - (1 << 64)
_WORD = 1 << 31


def text_key(text: str) -> int:
    """Return a stable key below 2^63 for a text."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def _shift(x: Tensor, bits: int) -> Tensor:
    """Shift right and fill with zeros (int64 shifts fill with the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """Hash int64 to int64, each bit of the result depending on each bit of ``x``."""
    x = (x ^ _shift(x, 30)) * _MULTIPLIER_1
    x = (x ^ _shift(x, 27)) * _MULTIPLIER_2
    return x ^ _shift(x, 31)


def chain(key: Tensor, value: int | Tensor) -> Tensor:
    """Hash one more value into a key."""
    return mix((key ^ value) + _GAMMA)


def roots(seeds: Sequence[int], task: str, purpose: str, device: torch.device | str) -> Tensor:
    """Return the key of each seed's data for a purpose, before any step: int64 ``[seeds]``."""
    keys = torch.tensor(seeds, device=device, dtype=torch.int64)
    return chain(chain(keys, text_key(task)), text_key(purpose))


class Stream:
    """One independent stream of numbers a row.

    Args:
        keys: int64 ``[rows]``, one key a row.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.drawn = keys, 0
        self.rows, self.device = keys.shape[0], keys.device

    @classmethod
    def of(
        cls, seeds: Sequence[int], task: str, purpose: str, step: int, rows: int, device: torch.device | str
    ) -> "Stream":
        """Return the stream of ``rows`` rows for each seed, one seed's rows after another's."""
        return cls.under(roots(seeds, task, purpose, device), step, rows)

    @classmethod
    def under(cls, keys: Tensor, step: int | Tensor, rows: int) -> "Stream":
        """Return the same from :func:`roots`; the step may be a tensor, so that the device alone need know it."""
        return cls(chain(chain(keys, step)[:, None], torch.arange(rows, device=keys.device)).flatten())

    def bits(self, *shape: int) -> Tensor:
        """Return the next 31-bit words: long ``[rows, *shape]`` in ``[0, 2^31)``."""
        count = torch.Size(shape).numel()
        counter = torch.arange(self.drawn + 1, self.drawn + 1 + count, device=self.device) * _GAMMA
        self.drawn += count
        return _shift(mix(self.keys[:, None] + counter), 33).reshape(self.rows, *shape)

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Long ``[rows, *shape]``, uniform in ``[0, high)`` up to a bias of ``high / 2^31``."""
        return (self.bits(*shape) * high) >> 31

    def uniform(self, *shape: int) -> Tensor:
        """Float32 ``[rows, *shape]``, uniform in ``[0, 1)`` on a grid of 2^-24."""
        return (self.bits(*shape) >> 7).float() / (1 << 24)

    def permutation(self, n: int) -> Tensor:
        """Long ``[rows, n]``, a uniform permutation of ``range(n)`` in every row."""
        return self.bits(n).argsort(dim=1, stable=True)
