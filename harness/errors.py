"""Errors in what the user gave. They are reported as one line with exit code 2, without a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """An error in what the user gave: one line that names the value, the rule and the closest valid choice."""


def close_match(name: str, choices: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the choice that is most similar to ``name``, or None where the similarity of all is below ``cutoff``."""
    matches = difflib.get_close_matches(name, sorted(choices), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for a close match, otherwise the list of all choices."""
    options = sorted(choices)
    match = close_match(name, options)
    if match is not None:
        return f"; did you mean {match}?"
    return f"; choose from {', '.join(options)}" if options else ""


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is not among the choices."""
    return UserError(f"unknown {kind} {name!r}{suggest(name, choices)}")
