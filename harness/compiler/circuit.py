"""The parts of a compiled transformer: channels of the residual stream, heads and hidden units, each in a layer.

A channel is written once and keeps its value. What reads it, reads a *form*, a linear function of channels. A head
reads queries, keys and values as forms, and a hidden unit its input. Each is placed in the first layer in which all
that it reads has been written: heads of a layer read what earlier layers wrote, and hidden units what its heads wrote.

Position 0 of the stream is a start token that no program sees. It is a *sink*: a head that selects nothing attends to
it. All forms that programs use are 0 there.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

Form = dict[int, float]
"""A weight for each channel that is read; the channel :data:`ONE` stands for the constant 1."""

ONE = -1
PLUS, MINUS, SLACK, SINK, INDEX = range(5)
"""Channels: two large constants, one that is always 0, one that is 1 at position 0, and the position as a number."""

PERIODS = (4, 16, 64, 256, 1024, 4096, 16384)
"""Of the circles on which positions are points; two positions differ by at least a quarter turn of one of them."""

CIRCLES = range(INDEX + 1, INDEX + 1 + 2 * len(PERIODS))
FIRST_FREE = CIRCLES.stop
UNIT = 1024.0
"""Positions and numbers of positions are stored divided by this."""


@dataclass(frozen=True)
class Head:
    """One attention head.

    Args:
        scores: pairs of forms, one of the query's position and one of the key's; the score is the sum of products.
        values: the form that is averaged, for each channel that is written.
    """

    scores: tuple[tuple[Form, Form], ...]
    values: dict[int, Form]


@dataclass(frozen=True)
class Unit:
    """One hidden unit: the form before the activation, and the weight with which each channel is written."""

    form: Form
    writes: dict[int, float]


@dataclass
class Layer:
    """The heads and hidden units of one layer."""

    heads: list[Head] = field(default_factory=list)
    units: list[Unit] = field(default_factory=list)


class Circuit:
    """Channels, and the layers that write them.

    Args:
        heads: how many heads a layer has.

    Attributes:
        ready: the half layers after which a channel has its value; each layer has one for heads and one for units.
    """

    def __init__(self, heads: int) -> None:
        self.most_heads, self.layers = heads, list[Layer]()
        self.ready = [0] * FIRST_FREE

    def channels(self, count: int) -> list[int]:
        """Return new channels."""
        first = len(self.ready)
        self.ready += [0] * count
        return list(range(first, first + count))

    def add_head(self, scores: Sequence[tuple[Form, Form]], values: dict[int, Form]) -> None:
        """Place a head in the first layer that has room for it and can read its forms."""
        forms = [form for pair in scores for form in pair] + list(values.values())
        index = (self._time(forms) + 1) // 2
        while len(self._layer(index).heads) == self.most_heads:
            index += 1
        self._layer(index).heads.append(Head(tuple(scores), values))
        self._write(values, 2 * index + 1)

    def add_units(self, units: Sequence[Unit]) -> None:
        """Place hidden units in one layer, the first that can read their forms."""
        index = self._time(unit.form for unit in units) // 2
        self._layer(index).units.extend(units)
        self._write({channel for unit in units for channel in unit.writes}, 2 * index + 2)

    def _time(self, forms: Iterable[Form]) -> int:
        return max((self.ready[channel] for form in forms for channel in form if channel != ONE), default=0)

    def _layer(self, index: int) -> Layer:
        self.layers += [Layer() for _ in range(index + 1 - len(self.layers))]
        return self.layers[index]

    def _write(self, channels: Iterable[int], time: int) -> None:
        for channel in channels:
            self.ready[channel] = max(self.ready[channel], time)


PROGRAM: Form = {ONE: 1.0, SINK: -1.0}
"""1 at every position that a program sees, and 0 at the sink."""


def total(*forms: Form) -> Form:
    """Return the sum of forms."""
    weights: Form = {}
    for form in forms:
        for channel, weight in form.items():
            weights[channel] = weights.get(channel, 0.0) + weight
    return weights


def times(weight: float, form: Form) -> Form:
    """Return a form, multiplied by a number."""
    return {channel: weight * value for channel, value in form.items()}
