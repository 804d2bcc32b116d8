"""Functions of two symbols as hidden units: a table of all pairs of values, written with few units.

A table is a *base*, which needs no unit or two for each value, and *exceptions*. The base is a function of the first
symbol, of the second, of their sum or of their difference. An exception is a rectangle of the table, a set of first
values and a set of second values, in which the result differs from the base. It takes one unit.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

from harness.compiler.circuit import Circuit, Form, Unit, times, total
from harness.compiler.variables import Symbol, both, steps

Table = dict[tuple[int, int], int]
"""The result of a function for each pair of values."""

Key = Callable[[int, int], int]
BASES: dict[str, Key] = {
    "first": lambda a, b: a,
    "second": lambda a, b: b,
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: a - b,
}


@dataclass(frozen=True)
class Rectangle:
    """Pairs of values with one result, where the base gives another."""

    first: tuple[int, ...]
    second: tuple[int, ...]
    base: int
    result: int


@dataclass(frozen=True)
class Cover:
    """A table as a base and exceptions. ``results`` has the result of the base for each value of its key."""

    name: str
    results: dict[int, int]
    exceptions: list[Rectangle]

    @property
    def units(self) -> int:
        """The number of hidden units."""
        return len(self.exceptions) + 2 * len(self.changes)

    @property
    def changes(self) -> list[tuple[int, int, int, int]]:
        """The places where the base changes: the keys before and after, and its results there."""
        if self.name in ("first", "second"):
            return []
        keys = sorted(self.results)
        pairs = ((a, b, self.results[a], self.results[b]) for a, b in pairwise(keys))
        return [pair for pair in pairs if pair[2] != pair[3]]


@lru_cache(maxsize=256)
def cover(table: tuple[tuple[int, int, int], ...]) -> Cover:
    """Return a cover of a table of (first value, second value, result) with few units.

    Of the bases, the two with the fewest wrong results are tried.
    """
    bases = []
    for name, key in BASES.items():
        counts: defaultdict[int, Counter[int]] = defaultdict(Counter)
        for first, second, result in table:
            counts[key(first, second)][result] += 1
        results = {value: counter.most_common(1)[0][0] for value, counter in counts.items()}
        right = sum(counts[value][result] for value, result in results.items())
        bases.append((len(table) - right, name, results))
    covers = (_cover(table, name, results) for _, name, results in sorted(bases, key=lambda base: base[0])[:2])
    return min(covers, key=lambda one: one.units)


def _cover(table: tuple[tuple[int, int, int], ...], name: str, results: dict[int, int]) -> Cover:
    given = [(a, b, results[BASES[name](a, b)], result) for a, b, result in table]
    wrong = [row for row in given if row[2] != row[3]]
    by_rows = _rectangles(wrong)
    by_columns = [
        Rectangle(r.second, r.first, r.base, r.result) for r in _rectangles((b, a, *rest) for a, b, *rest in wrong)
    ]
    return Cover(name, results, min(by_rows, by_columns, key=len))


def _rectangles(wrong: Iterable[tuple[int, ...]]) -> list[Rectangle]:
    """Return rectangles of rows with equal sets of columns."""
    columns: defaultdict[tuple[int, int, int], list[int]] = defaultdict(list)
    for a, b, base, result in wrong:
        columns[a, base, result].append(b)
    rows: defaultdict[tuple[tuple[int, ...], int, int], list[int]] = defaultdict(list)
    for (a, base, result), seconds in columns.items():
        rows[tuple(seconds), base, result].append(a)
    return [Rectangle(tuple(firsts), seconds, base, result) for (seconds, base, result), firsts in rows.items()]


def look_up(circuit: Circuit, table: Table, first: Symbol, second: Symbol) -> Symbol:
    """Return the symbol that a table gives for two symbols."""
    found = cover(tuple((a, b, result) for (a, b), result in table.items()))
    values = sorted(set(table.values()))
    written = dict(zip(values, circuit.channels(len(values)), strict=True)) if found.units else {}
    units: list[Unit] = []
    for rectangle in found.exceptions:
        one = total(*(first.forms[value] for value in rectangle.first))
        other = total(*(second.forms[value] for value in rectangle.second))
        units.append(both(one, other, {written[rectangle.result]: 1.0, written[rectangle.base]: -1.0}))
    forms = _base_forms(found, first, second, units, written)
    circuit.add_units(units)
    own: dict[int, Form] = {value: {channel: 1.0} for value, channel in written.items()}
    return Symbol({value: total(forms.get(value, {}), own.get(value, {})) for value in values})


def _base_forms(
    found: Cover, first: Symbol, second: Symbol, units: list[Unit], written: dict[int, int]
) -> dict[int, Form]:
    """Return the forms of the base; for a sum or a difference, add the units that change it from key to key."""
    if found.name in ("first", "second"):
        symbol = first if found.name == "first" else second
        forms = remapped(symbol, found.results)
    else:
        sign = 1.0 if found.name == "sum" else -1.0
        key = total(number(first), times(sign, number(second)))
        for before, after, old, new in found.changes:
            units += steps(key, before, after, {written[new]: 1.0, written[old]: -1.0})
        forms = {found.results[min(found.results)]: total(*first.forms.values())}
    return forms


def number(symbol: Symbol) -> Form:
    """Return the form of the value of a symbol."""
    return total(*(times(value, form) for value, form in symbol.forms.items()))


def remapped(symbol: Symbol, results: dict[int, int]) -> dict[int, Form]:
    """Return the forms of a function of one symbol, which needs no units."""
    by_result: defaultdict[int, list[Form]] = defaultdict(list)
    for value, form in symbol.forms.items():
        by_result[results[value]].append(form)
    return {result: total(*forms) for result, forms in by_result.items()}
