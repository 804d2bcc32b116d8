"""Limits of options: a task that cannot be built says so in one line: the value, the rule, the nearest choice."""

import difflib


def within(name: str, value: int, low: int, high: int | None = None) -> None:
    """Raise :class:`ValueError` unless ``low <= value <= high`` (no upper limit where ``high`` is None)."""
    if value < low:
        rule = f"at least {low}" if high is None else f"from {low} to {high}"
        raise ValueError(f"{name}={value}: must be {rule}; the nearest is {low}")
    if high is not None and value > high:
        raise ValueError(f"{name}={value}: must be from {low} to {high}; the nearest is {high}")


def one_of(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise :class:`ValueError` unless ``value`` is one of the choices."""
    if value not in choices:
        near = difflib.get_close_matches(value, choices, n=1, cutoff=0) or choices
        raise ValueError(f"{name}={value}: must be {' or '.join(choices)}; the nearest is {near[0]}")
