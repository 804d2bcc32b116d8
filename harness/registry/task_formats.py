"""Which tasks have options of a format (``tasks/formats.py``), next to the options of their own constructor."""

from importlib import import_module

ACCUMULATED, REARRANGED = "tasks.formats:Accumulated", "tasks.formats:Rearranged"
PLACES = "tasks.arithmetic._places:Places"

FORMATS = {
    **{f"tasks.regular.{name}": ACCUMULATED for name in ("parity", "even_pairs", "cycle_navigation")},
    "tasks.regular.modular_arithmetic": ACCUMULATED,
    "tasks.arithmetic.sum_modulo": ACCUMULATED,
    "tasks.counting.majority": ACCUMULATED,
    **{f"tasks.strings.{name}": REARRANGED for name in ("copy", "reverse", "duplicate_string", "odds_first")},
    **{f"tasks.arithmetic.{name}": PLACES for name in ("addition", "subtraction")},
}
"""The format of tasks by module."""


def format_for(cls: type) -> type | None:
    """Return the format of a task class, or ``None``; a user's class names it in the attribute ``format``."""
    own = vars(cls).get("format")
    if isinstance(own, type):
        return own
    if cls.__module__ not in FORMATS:
        return None
    module, _, name = FORMATS[cls.__module__].partition(":")
    found: type = getattr(import_module(module), name)
    return found
