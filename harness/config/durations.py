"""Durations as the command line writes them: ``90s``, ``30m``, ``2h`` or ``1h30m``."""

import re

from harness.errors import UserError

_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s)?", re.ASCII)
LONGEST = 10 * 365 * 24 * 3600


def seconds_of(text: str, name: str) -> int:
    """Return the seconds of a duration.

    Args:
        name: the option that has it, for the error.

    Raises:
        UserError: if it cannot be read, is zero, or is longer than ten years.

    >>> seconds_of("1h30m", "--timeout")
    5400
    """
    match = _DURATION.fullmatch(text.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match and len(text) < 20 else (0, 0, 0)
    total = 3600 * hours + 60 * minutes + seconds
    if not 0 < total <= LONGEST:
        raise UserError(f"{name} {text!r}: must be a duration such as 90s, 30m or 1h30m, at most ten years")
    return total
