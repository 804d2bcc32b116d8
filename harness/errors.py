"""Errors in what the user gave. They are reported as one line with exit code 2, without a traceback."""

import difflib
from collections.abc import Iterable

MOST_LISTED, NEAREST = 8, 5
"""Up to eight choices are all listed; of more, the five nearest to what was given."""

LISTS = {"architecture": "architectures", "task": "tasks", "suite": "suites"}
"""The argument of ``lengthwise list`` that names all choices of a kind."""


class UserError(Exception):
    """An error in what the user gave: one line that names the value, the rule and the closest valid choice."""


def rule_in(message: str) -> str:
    """Return the rule that a message of pydantic states, in the words of our own errors."""
    return message.removeprefix("Value error, ").replace("Input should be", "must be")


def close_match(name: str, choices: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Return the choice that is most similar to ``name``, or None where the similarity of all is below ``cutoff``."""
    matches = difflib.get_close_matches(name, sorted(choices), n=1, cutoff=cutoff)
    return matches[0] if matches else None


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for a close match, otherwise the choices, or the nearest of many."""
    options = sorted(choices)
    match = close_match(name, options)
    if match is not None:
        return f"; did you mean {match}?"
    if len(options) > MOST_LISTED:
        nearest = difflib.get_close_matches(name, options, n=NEAREST, cutoff=0.0)
        return f"; the nearest of {len(options)} are {', '.join(nearest)}"
    return f"; choose from {', '.join(options)}" if options else ""


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is not among the choices."""
    hint = suggest(name, choices)
    more = f"; lengthwise list {LISTS[kind]} names all" if kind in LISTS and "nearest" in hint else ""
    return UserError(f"unknown {kind} {name!r}{hint}{more}")
