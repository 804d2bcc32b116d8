"""Ranges of lengths as people write them.

``1:40`` is every length from 1 to 40 when training; when testing it is a fixed grid of at most twelve lengths with
both ends. ``41:200:1`` is every length, ``41:500:10`` every tenth, ``20,40,80`` just these.
"""

from harness.errors import UserError

GRID = 12


def parse_span(text: str, what: str) -> tuple[int, int]:
    """Read ``low:high`` (or one length) and return both ends."""
    parts = _numbers(text, ":", what)
    if len(parts) == 1:
        parts = parts * 2
    if len(parts) != 2:
        raise UserError(f"{what} {text!r}: write LOW:HIGH, for example 1:40")
    return _ordered(parts[0], parts[1], text, what)


def parse_grid(text: str, what: str) -> list[int]:
    """Read test lengths: a span as a grid, a span with a step, or a list."""
    if ":" not in text:
        return sorted(set(_numbers(text, ",", what)))
    parts = _numbers(text, ":", what)
    if len(parts) == 2:
        return even_grid(*_ordered(parts[0], parts[1], text, what))
    if len(parts) != 3:
        raise UserError(f"{what} {text!r}: write LOW:HIGH or LOW:HIGH:STEP, for example 41:200:1")
    low, high = _ordered(parts[0], parts[1], text, what)
    return list(range(low, high + 1, parts[2]))


def even_grid(low: int, high: int, points: int = GRID) -> list[int]:
    """Return at most ``points`` evenly spaced lengths from ``low`` to ``high``, both included."""
    last = min(points, high - low + 1) - 1
    return sorted({low + round(i * (high - low) / last) for i in range(last + 1)}) if last else [low]


def _numbers(text: str, separator: str, what: str) -> list[int]:
    try:
        numbers = [int(part) for part in text.split(separator) if part.strip()]
    except ValueError:
        raise UserError(f"{what} {text!r}: lengths are whole numbers, for example 1:40 or 20,40,80") from None
    if not numbers:
        raise UserError(f"{what} {text!r}: empty; write for example 1:40")
    if min(numbers) < 1:
        raise UserError(f"{what} {text!r}: lengths start at 1")
    return numbers


def _ordered(low: int, high: int, text: str, what: str) -> tuple[int, int]:
    if low > high:
        raise UserError(f"{what} {text!r}: reversed; write {high}:{low}")
    return low, high
