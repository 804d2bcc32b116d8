"""What a user can mend: one clear line and exit code 2, never a traceback."""

import difflib
from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user gave: one line that names the value, the rule and the nearest choice."""


def nearest(name: str, choices: Iterable[str]) -> str:
    """Return ``; did you mean X?`` for the nearest choice, or the list of choices where none is near."""
    options = sorted(choices)
    close = difflib.get_close_matches(name, options, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]}?"
    return f"; choose from {', '.join(options)}" if options else ""


def unknown(kind: str, name: str, choices: Iterable[str]) -> UserError:
    """Return the error for a name that is not among the choices."""
    return UserError(f"unknown {kind} {name!r}{nearest(name, choices)}")
