"""Strings to draw: letters where a few symbols do, numbers where there may be many; with or without repeats."""

from string import ascii_lowercase

from torch import Tensor

from tasks.base import Stream
from tasks.limits import within


def letters(alphabet: int) -> tuple[str, ...]:
    """Return the first letters, at most 26."""
    within("alphabet", alphabet, 1, len(ascii_lowercase))
    return tuple(ascii_lowercase[:alphabet])


def numbers(alphabet: int) -> tuple[str, ...]:
    """Return the numbers below ``alphabet``."""
    within("alphabet", alphabet, 1)
    return tuple(str(number) for number in range(alphabet))


def draw(alphabet: int, unique: bool, length: int, stream: Stream) -> Tensor:
    """Draw strings ``[B, length]`` uniformly from all, or if ``unique`` from those with no symbol twice."""
    return stream.permutation(alphabet)[:, :length] if unique else stream.integers(alphabet, length)
