"""Alphabets and random strings that the string tasks share: letters or numbers, with or without repeats."""

from string import ascii_lowercase

from torch import Tensor

from tasks.base import Stream


def letter_symbols(alphabet: int) -> tuple[str, ...]:
    """Return the first ``alphabet`` lower-case letters, at most 26."""
    return tuple(ascii_lowercase[:alphabet])


def number_symbols(alphabet: int) -> tuple[str, ...]:
    """Return the numbers below ``alphabet``."""
    return tuple(str(number) for number in range(alphabet))


def draw_strings(alphabet: int, unique: bool, length: int, stream: Stream) -> Tensor:
    """Draw strings ``[B, length]`` uniformly: from all strings, or if ``unique`` from those without repeats."""
    return stream.permutation(alphabet)[:, :length] if unique else stream.integers(alphabet, length)
