"""Oracles of counting tasks."""

from oracles import Oracle


def majority(source: list[str]) -> list[str]:
    return ["1" if source.count("1") > source.count("0") else "0"]


def count(source: list[str]) -> list[str]:
    first, last = map(int, source)
    return [str(number) for number in range(first, last + 1)]


ORACLES: dict[str, Oracle] = {
    "majority": majority,
    "count": count,
    "count:numbers=7": count,
    "count:numbers=1": count,
    "count:numbers=600": count,
}
