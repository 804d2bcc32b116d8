"""Bounds of options: annotated types for fixed bounds, and a check for bounds that depend on other options.

The harness checks annotated types before it constructs a task, and ``lengthwise show`` prints them as ``int >= 1``.
"""

from string import ascii_lowercase
from typing import Annotated

from annotated_types import Ge, Interval

NonNegative = Annotated[int, Ge(0)]
Positive = Annotated[int, Ge(1)]
AtLeastTwo = Annotated[int, Ge(2)]
LetterCount = Annotated[int, Interval(ge=1, le=len(ascii_lowercase))]
"""Size of an alphabet of lower-case letters."""

SeveralLetters = Annotated[int, Interval(ge=2, le=len(ascii_lowercase))]
"""The same for tasks that need at least two letters."""


def check_range(name: str, value: int, low: int, high: int | None = None) -> None:
    """Raise :class:`ValueError` unless ``low <= value <= high``; there is no upper bound if ``high`` is None."""
    if value < low:
        rule = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}={value}: must be {rule}; the nearest is {low}")
    if high is not None and value > high:
        raise ValueError(f"{name}={value}: must be from {low} to {high}; the nearest is {high}")
