"""Options as text: types as help texts show them, ``key=value`` pairs, and errors of one line."""

import re
import typing
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from harness.errors import UserError, close_match, rule_in, suggest

MOST_SHOWN = 120
"""Characters of a wrong value that an error shows."""

COMMA = re.compile(r",(?![^\[]*\])")
"""A comma that separates options. Those between square brackets separate the items of one value."""


@dataclass(frozen=True)
class Described:
    """Metadata of a type annotation: the allowed values as help texts and errors show them."""

    description: str


def describe(annotation: Any) -> str:
    """Return a type annotation as help texts show it."""
    if typing.get_origin(annotation) is typing.Annotated:
        base, *limits = typing.get_args(annotation)
        for limit in limits:
            if isinstance(limit, Described):
                return limit.description
        return " ".join([describe(base), *filter(None, map(_limit, limits))])
    if typing.get_origin(annotation) is typing.Literal:
        return " | ".join(str(choice) for choice in typing.get_args(annotation))
    if typing.get_args(annotation):
        return " | ".join(describe(part) for part in typing.get_args(annotation))
    if annotation is type(None):
        return "none"
    return str(getattr(annotation, "description", None) or getattr(annotation, "__name__", annotation))


def _limit(limit: Any) -> str:
    """Return the bounds of an ``annotated_types`` limit, for example ``>= 0 < 1``; empty where it has none."""
    signs = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}
    bounds = {sign: getattr(limit, name, None) for name, sign in signs.items()}
    texts = {
        sign: str(bound) if isinstance(bound, int) else f"{bound:g}"
        for sign, bound in bounds.items()
        if bound is not None
    }
    return " ".join(f"{sign} {text}" for sign, text in texts.items())


def read_pairs(text: str, what: str) -> dict[str, str]:
    """Read ``key=value,key=value``; raise :class:`UserError` for a missing part and for a key that is given twice.

    ``what`` names the text in errors.
    """
    pairs: dict[str, str] = {}
    for part in COMMA.split(text):
        key, sign, value = (word.strip() for word in part.partition("="))
        if not part.strip():
            raise UserError(f"{what}: an option is missing next to a separator; write key=value, separated by commas")
        if not sign or not key or not value:
            problem = f"option {key!r} has no value" if key else f"{part.strip()!r} has no key"
            raise UserError(f"{what}: {problem}; write key=value, separated by commas")
        if key in pairs:
            raise UserError(f"{what}: option {key!r} is given twice ({pairs[key]} and {value}); give it once")
        pairs[key] = value
    return pairs


def option_error(what: str, error: ValidationError, types: Mapping[str, str]) -> UserError:
    """Return pydantic's first error as one line.

    Args:
        what: beginning of the line, before the key.
        types: the allowed values by key, as help texts show them. Without an entry, pydantic words the rule.
    """
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"] if isinstance(part, str))
    name = str(first["loc"][0]) if first["loc"] else ""
    message = rule_in(first["msg"])
    rule = f"must be {types[name]}" if name in types and first["type"] != "value_error" else message
    shown = (
        repr(first["input"]) if len(repr(first["input"])) <= MOST_SHOWN else f"{repr(first['input'])[:MOST_SHOWN]}..."
    )
    return UserError(f"{what} {key}={shown}: {rule}{_hint(first['input'], types.get(name, ''))}")


def _hint(value: Any, type_text: str) -> str:
    """Suggest a choice that is close to ``value``; empty where no choice is close."""
    choices = type_text.split(" | ")
    if len(choices) == 1 or not isinstance(value, str) or close_match(value, choices) is None:
        return ""
    return suggest(value, choices)
