"""The variables of a compiled program: how the stream represents a token, a position and a number of positions.

=========  ===================================================  ==================================================
kind       representation                                       supports
=========  ===================================================  ==================================================
Symbol     one form for each possible value: 1 if it is this    any function, selection by any predicate
           value, 0 otherwise
Place      points on circles, and the position as a number      selection of an equal position, a constant offset,
                                                                comparison
Count      ``1 / (1 + n)``; and a number close to ``n`` if      comparison, selection of the largest or smallest
           needed
=========  ===================================================  ==================================================

A count is the attention weight of the sink in a head that gives the sink and all selected positions equal weights.
Neighbouring numbers ``n`` are then ``1 / n**2`` apart. The number close to ``n`` is a piecewise linear function of
it, with values at least 0.8 apart.
"""

import math
from dataclasses import dataclass, field

from harness.compiler.circuit import CIRCLES, INDEX, ONE, PERIODS, PROGRAM, UNIT, Circuit, Form, Unit, times, total

MARGIN = 12.0
"""Inputs of the activation that must be on one side of 0 are at least so far from it; GELU is exact there."""

NOWHERE = -1000
"""Positions up to this one stand for no position at all."""


@dataclass(frozen=True)
class Symbol:
    """A variable with few values: for each value the form that is 1 where the variable has it."""

    forms: dict[int, Form]


@dataclass(frozen=True)
class Place:
    """A position: the forms of its point, cosine and sine for each circle, and of the position divided by ``UNIT``."""

    point: tuple[Form, ...] = tuple({channel: 1.0} for channel in CIRCLES)
    value: Form = field(default_factory=lambda: {INDEX: 1.0})

    def plus(self, offset: int) -> "Place":
        """Return the position plus a constant, which turns the points on their circles."""
        forms: list[Form] = []
        for x, y, period in zip(self.point[::2], self.point[1::2], PERIODS, strict=True):
            cosine, sine = (f(2 * math.pi * offset / period) for f in (math.cos, math.sin))
            forms += [total(times(cosine, x), times(-sine, y)), total(times(sine, x), times(cosine, y))]
        return Place(tuple(forms), total(self.value, times(offset / UNIT, PROGRAM)))


@dataclass(frozen=True)
class Count:
    """A number of positions: the channel of ``1 / (1 + n)``."""

    inverse: int

    def threshold(self, least: int) -> tuple[Form, float, float]:
        """Return a form, and its values for ``least - 1`` and ``least``."""
        return {self.inverse: -1.0}, -1 / least, -1 / (1 + least)


def point(position: int) -> list[float]:
    """Return the coordinates of a position, cosine and sine for each circle; all 0 for no position."""
    if position <= NOWHERE:
        return [0.0] * (2 * len(PERIODS))
    return [f(2 * math.pi * position / period) for period in PERIODS for f in (math.cos, math.sin)]


GAP = 1.0
"""How much smaller the product of two points is than that of a point with itself, at least.

Their distance is a multiple of ``4**k`` but not of ``4**(k + 1)``, so on one circle they are at least a quarter turn
apart.
"""


def steps(form: Form, below: float, above: float, writes: dict[int, float]) -> list[Unit]:
    """Return two units that write where a form is at least ``above``, and nothing where it is at most ``below``."""
    slope = 2 * MARGIN / (above - below)
    shifted = total(times(slope, form), {ONE: MARGIN - slope * above})
    return [
        Unit(shifted, {channel: weight / MARGIN for channel, weight in writes.items()}),
        Unit(total(shifted, {ONE: -MARGIN}), {channel: -weight / MARGIN for channel, weight in writes.items()}),
    ]


def both(one: Form, other: Form, writes: dict[int, float]) -> Unit:
    """Return the unit that writes where two forms with the values 0 and 1 are both 1."""
    inputs = total(times(2 * MARGIN, one), times(2 * MARGIN, other), {ONE: -3 * MARGIN})
    return Unit(inputs, {channel: weight / MARGIN for channel, weight in writes.items()})


KNOTS = [*range(33), *(round(32 * 1.1**power) for power in range(1, 60))]
"""The numbers at which the piecewise linear function of a count is exact."""


def number_of(circuit: Circuit, count: Count) -> int:
    """Return a new channel with a number close to ``n / UNIT``, strictly increasing in ``n``."""
    [channel] = circuit.channels(1)
    inverse = [1 / (1 + knot) for knot in KNOTS]
    slopes = [(b - a) / (x - y) for a, b, x, y in zip(KNOTS, KNOTS[1:], inverse, inverse[1:], strict=False)]
    units = []
    for knot, slope, before in zip(KNOTS, slopes, [0.0, *slopes], strict=False):
        sharpness = MARGIN * (knot + 1) * (knot + 2)  # the next number's input is at least MARGIN from this knot
        inputs = {count.inverse: -sharpness, ONE: sharpness / (1 + knot)}
        units.append(Unit(inputs, {channel: (slope - before) / sharpness / UNIT}))
    circuit.add_units(units)
    return channel
