"""Formats of numbers, the same in every table and plot; a score below 1 is not rounded up to 1."""

import re
from collections.abc import Callable, Iterable
from math import isfinite, isnan

NOTHING = "–"


def score(value: float, digits: int = 2) -> str:
    """Write a fraction; only values of at least 0.9995 become 1.00.

    >>> score(0.996), score(1.0), score(float("nan"))
    ('0.99', '1.00', '–')
    """
    if isnan(value):
        return NOTHING
    top = 10**-digits
    return f"{1 - top if 1 - top / 2 <= value < 0.9995 else value:.{digits}f}"


def number(value: float) -> str:
    """Write a number as it is, without trailing zeros."""
    return f"{value:g}" if isfinite(value) else NOTHING


def count(value: float) -> str:
    """Write a count to three digits.

    >>> count(950), count(21_340), count(3_000_000)
    ('950', '21.3k', '3M')
    """
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= unit:
            return f"{value / unit:.3g}{letter}"
    return number(round(value)) if isfinite(value) else NOTHING


def size(value: float) -> str:
    """Write bytes to three digits.

    >>> size(512), size(20_480)
    ('512 B', '20 KiB')
    """
    for unit, letters in ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
        if value >= unit:
            return f"{value / unit:.3g} {letters}"
    return f"{value:g} B" if isfinite(value) else NOTHING


def seconds(value: float) -> str:
    """Write a duration.

    >>> seconds(3.21), seconds(75), seconds(7300)
    ('3.2 s', '1 min 15 s', '2 h 1 min')
    """
    if isnan(value):
        return NOTHING
    if value < 60:
        return f"{value:.1f} s"
    minutes, rest = divmod(round(value), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def span(values: Iterable[float]) -> str:
    """Write the range of some numbers.

    >>> span([1, 20, float("nan")]), span([3, 3]), span([])
    ('1–20', '3', '–')
    """
    finite = sorted(value for value in values if isfinite(value))
    if not finite:
        return NOTHING
    return number(finite[0]) if finite[0] == finite[-1] else f"{number(finite[0])}–{number(finite[-1])}"


def break_name(name: str, width: int, marks: str = " :,=_") -> list[str]:
    """Break an architecture or task label into lines of at most ``width`` letters.

    Lines end after one of ``marks``; earlier marks are tried first. A word wider than a line stays whole.

    >>> break_name("permutation_swaps:things=3", 16), break_name("parity", 16)
    (['permutation_', 'swaps:', 'things=3'], ['parity'])
    >>> break_name("addition:base=3,order=reversed,padding=1", 16)
    ['addition:', 'base=3,', 'order=reversed,', 'padding=1']
    >>> break_name("many_stacks:items=2,stacks=2, attention", 20)
    ['many_stacks:', 'items=2,stacks=2,', 'attention']
    >>> break_name("induction_heads [stages=state_passing]", 26)
    ['induction_heads', '[stages=state_passing]']
    """
    if len(name) <= width or not marks:
        return [name]
    lines, extendable = [""], True
    # Split after each first mark; join pieces as long as they fit on the last line.
    for piece in re.split(f"(?<={marks[0]})", name):
        if extendable and len(lines[-1] + piece) <= width:
            lines[-1] += piece
        else:
            lines += break_name(piece, width, marks[1:])
            extendable = len(piece) <= width  # nothing is joined to the last line of a piece that was broken itself
    return [line.strip() for line in lines if line.strip()]


def plural(n: int, noun: str) -> str:
    """Write a number with its noun.

    >>> plural(1, "seed"), plural(1200, "seed")
    ('1 seed', '1,200 seeds')
    """
    return f"{n:,} {noun}" if n == 1 else f"{n:,} {noun}s"


def span_of(write: Callable[[float], str], values: Iterable[float]) -> str:
    """Write a range of numbers in the format of ``write``.

    >>> span_of(count, [21_340, 25_000]), span_of(count, [950])
    ('21.3k–25k', '950')
    """
    finite = sorted(value for value in values if isfinite(value))
    return "–".join(dict.fromkeys(write(end) for end in finite[:1] + finite[-1:])) or NOTHING


def interval(low: float, high: float) -> str:
    """Write an interval in brackets, to follow its estimate; empty where there is none.

    >>> interval(0.2, 0.6), interval(float("nan"), float("nan"))
    (' [0.20, 0.60]', '')
    """
    return "" if isnan(low) else f" [{score(low)}, {score(high)}]"
