"""Oracles of string tasks."""

from oracles import Oracle


def reverse(source: list[str]) -> list[str]:
    return source[::-1]


ORACLES: dict[str, Oracle] = {
    "reverse": reverse,
    "reverse:alphabet=1": reverse,
    "reverse:alphabet=26": reverse,
}
