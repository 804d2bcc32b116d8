"""Counter-based random streams: the same data on every device, at every batch size and in every population.

Each row of a batch has a 64-bit key, hashed from (seed, task, purpose, step, row). Its n-th number is a hash of the key
and n. Rows therefore share no state, and a row does not depend on how many rows are drawn together. The hash is the
finaliser of SplitMix64 (Steele et al. 2014) in wrapping int64 arithmetic, which gives the same bits on CPU and GPU.
"""

import hashlib
from collections.abc import Sequence
from enum import StrEnum

import torch
from torch import Tensor

from tasks.splitmix import GAMMA, hash_words, splitmix64


class Purpose(StrEnum):
    """The uses of random data. Two purposes never share a stream; the strings are part of all recorded results."""

    TRAIN = "train"
    """Training batches, one stream for each seed."""
    LENGTH = "length"
    """The length of each training step, shared by all seeds."""
    VALIDATE = "validate"
    """Validation sets at training lengths."""
    EVALUATE = "evaluate"
    """Test sets, which depend neither on the seed nor on the device."""
    CHANCE = "chance"
    """Samples on which chance is measured."""
    GUESS = "guess"
    """The random answers of the uniform guesser."""
    SHORTCUT = "shortcut"
    """Samples on which simple readers are fitted and scored."""
    INSPECT = "inspect"
    """The input whose attention maps the report shows."""
    SHOW = "show"
    """Samples that ``lengthwise show`` measures."""
    CHECK = "check"
    """Inputs of the contract checks."""
    BENCH = "bench"
    """Inputs of benchmarks."""
    PROBE = ""
    """Inputs from which only shapes are read, and whether a task asks for its last position."""


def text_key(text: str) -> int:
    """Return a stable key below 2^63 for a text: the first 63 bits of its SHA-256."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def fold_in(key: Tensor, value: int | Tensor) -> Tensor:
    """Hash one more value into a key."""
    return splitmix64((key ^ value) + GAMMA)


def seed_keys(seeds: Sequence[int], task: str, purpose: str, device: torch.device | str) -> Tensor:
    """Return the key of each seed for a task and a purpose, int64 ``[seeds]``; ``purpose`` is a :class:`Purpose`."""
    keys = torch.tensor(seeds, device=device, dtype=torch.int64)
    return fold_in(fold_in(keys, text_key(task)), text_key(purpose))


class Stream:
    """One independent stream of random numbers for each row.

    Args:
        keys: int64 ``[rows]``, one key for each row.
    """

    def __init__(self, keys: Tensor) -> None:
        self.keys, self.drawn = keys, 0
        self.rows, self.device = keys.shape[0], keys.device

    @classmethod
    def of(
        cls, seeds: Sequence[int], task: str, purpose: str, step: int, rows: int, device: torch.device | str
    ) -> "Stream":
        """Return a stream of ``len(seeds) * rows`` rows: ``rows`` rows for the first seed, then for the second, ..."""
        return cls.from_keys(seed_keys(seeds, task, purpose, device), step, rows)

    @classmethod
    def from_keys(cls, keys: Tensor, step: int | Tensor, rows: int, first: int = 0) -> "Stream":
        """Return the stream of :func:`seed_keys`; ``step`` may be a device tensor, so a CUDA graph can advance it.

        ``first`` is the number of the first row: rows 8 to 11 are those that follow the first 8.
        """
        numbers = torch.arange(first, first + rows, device=keys.device)
        return cls(fold_in(fold_in(keys, step)[:, None], numbers).flatten())

    def bits(self, *shape: int) -> Tensor:
        """Return the next 31-bit words: long ``[rows, *shape]`` in ``[0, 2^31)``."""
        count = torch.Size(shape).numel()
        words = hash_words(self.keys, count, start=self.drawn)
        self.drawn += count
        return words.reshape(self.rows, *shape)

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Long ``[rows, *shape]``, uniform in ``[0, high)`` up to a bias of ``high / 2^31``."""
        return (self.bits(*shape) * high) >> 31

    def uniform(self, *shape: int) -> Tensor:
        """Float32 ``[rows, *shape]``, uniform in ``[0, 1)`` on a grid of 2^-24."""
        return (self.bits(*shape) >> 7).float() / (1 << 24)

    def permutation(self, n: int) -> Tensor:
        """Long ``[rows, n]``, a uniform permutation of ``range(n)`` in every row."""
        return self.bits(n).argsort(dim=1, stable=True)
