"""Lengths as text: a span of training lengths, or a list of test lengths.

As training lengths, ``1:40`` is every length from 1 to 40. As test lengths, ``41:200`` is a grid of at most twelve
lengths that includes both ends, ``41:200:1`` is every length, ``41:500:10`` is every tenth length, and ``20,40,80`` is
exactly these lengths.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, PlainSerializer

from harness.errors import UserError
from harness.registry.limits import LONGEST

GRID = 12
"""Most lengths of a test grid that is written as ``low:high``."""
WHOLE = re.compile(r"-?[0-9]{1,18}")


@dataclass(frozen=True)
class Span:
    """All lengths from ``low`` to ``high``, both included. Its text is ``low:high``."""

    description: ClassVar[str] = "LOW:HIGH"

    low: int
    high: int

    @classmethod
    def parse(cls, text: str, what: str) -> "Span":
        """Read ``low:high`` or one length; raise :class:`UserError` for other text.

        ``what`` names the value in errors.
        """
        if "," in text:
            raise UserError(f"{what} {text!r}: a list is not allowed here; write LOW:HIGH, for example 1:40")
        parts = _numbers(text, ":", what)
        if len(parts) > 2:
            raise UserError(f"{what} {text!r}: has too many numbers; write LOW:HIGH, for example 1:40")
        return cls(*_ordered(parts[0], parts[-1], text, what))

    def __contains__(self, length: int) -> bool:
        return self.low <= length <= self.high

    def __str__(self) -> str:
        return f"{self.low}:{self.high}"


def _train_lengths(value: Any) -> Any:
    return Span.parse(value, "train lengths") if isinstance(value, str) else value


TrainLengths = Annotated[Span, BeforeValidator(_train_lengths), PlainSerializer(str, return_type=str)]
"""A span as a field of a pydantic model, which reads it from text and writes it as text."""


def parse_grid(text: str, what: str) -> list[int]:
    """Read test lengths: ``low:high``, ``low:high:step`` or a list. ``what`` names the value in errors."""
    if ":" not in text:
        return sorted(set(_numbers(text, ",", what)))
    parts = _numbers(text, ":", what)
    if len(parts) == 2:
        return even_grid(*_ordered(parts[0], parts[1], text, what))
    if len(parts) != 3:
        raise UserError(f"{what} {text!r}: has too many numbers; write LOW:HIGH or LOW:HIGH:STEP, for example 41:200:1")
    low, high = _ordered(parts[0], parts[1], text, what)
    return list(range(low, high + 1, parts[2]))


def even_grid(low: int, high: int, points: int = GRID) -> list[int]:
    """Return at most ``points`` evenly spaced lengths from ``low`` to ``high``, both included."""
    last = min(points, high - low + 1) - 1
    return sorted({low + round(i * (high - low) / last) for i in range(last + 1)}) if last else [low]


def _numbers(text: str, separator: str, what: str) -> list[int]:
    parts = [part.strip() for part in text.split(separator)]
    if not any(parts):
        raise UserError(f"{what} {text!r}: empty; write lengths, for example 1:40")
    if "" in parts:
        raise UserError(f"{what} {text!r}: a number is missing next to {separator!r}; {_completed(parts, separator)}")
    if not all(WHOLE.fullmatch(part) for part in parts):
        raise UserError(f"{what} {text!r}: lengths must be whole numbers, for example 1:40 or 20,40,80")
    numbers = [int(part) for part in parts]
    if min(numbers) < 1:
        raise UserError(f"{what} {text!r}: lengths start at 1")
    if max(numbers) > LONGEST:
        raise UserError(f"{what} {text!r}: lengths end at {LONGEST}")
    return numbers


def _completed(parts: list[str], separator: str) -> str:
    """Return the advice for a text in which a number is missing: the text without the gap, or a span from 1."""
    numbers = [part for part in parts if part]
    if separator == ":" and len(parts) == 2 and parts[1]:
        return f"write LOW:HIGH, for example 1:{parts[1]}"
    return f"write {separator.join(numbers)}" if len(numbers) > 1 else f"write LOW:HIGH, or {numbers[0]} for one length"


def _ordered(low: int, high: int, text: str, what: str) -> tuple[int, int]:
    if low > high:
        raise UserError(f"{what} {text!r}: the bounds are reversed; write {high}:{low}")
    return low, high
