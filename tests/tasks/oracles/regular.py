"""Oracles of regular languages."""

from oracles import Oracle


def parity(source: list[str]) -> list[str]:
    return [str(source.count("1") % 2)]


ORACLES: dict[str, Oracle] = {
    "parity": parity,
}
