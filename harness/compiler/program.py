"""Compile a RASP-L program: each operation of its expression becomes a variable of a circuit.

========================  ===========================================================================================
operation                 circuit
========================  ===========================================================================================
``tokens``, ``indices``   channels of the embedding
``full``, ``tok_map``     forms of the channels of the argument; no unit
``seq_map``               hidden units (``lookup.py``); comparisons of positions and numbers are steps
``select``                queries and keys of a head: the score is 0 for a selected position, at most -1 for others
``aggr_max``, ``min``     a head that also prefers large or small values; the default is the value of the sink
``sel_width``             a head with equal weights of the sink and the selected positions
========================  ===========================================================================================

What a function of the program does is found by applying it to all values.
"""

from collections.abc import Callable
from typing import Any

import torch

from harness.compiler.circuit import PERIODS, PROGRAM, SINK, UNIT, Circuit, Form, times, total
from harness.compiler.lookup import look_up, remapped
from harness.compiler.scores import (
    SHARP,
    Scores,
    applied,
    is_equality,
    on_pairs,
    place_scores,
    preference,
    selects_all,
    symbol_scores,
)
from harness.compiler.variables import (
    NOWHERE,
    Count,
    Place,
    Symbol,
    number_of,
    point,
    steps,
)
from tasks.rasp._language import Node, Value
from tasks.rasp._machine import Program, _identity, build_graph

Variable = Symbol | Place | Count
RANGE = range(NOWHERE, PERIODS[-1])
"""All positions and numbers, to which functions are applied."""


class NotCompilable(ValueError):
    """A program uses an operation in a way for which there is no circuit here."""


class ProgramCompiler:
    """Turns the nodes of one program into variables.

    Args:
        circuit: the circuit to which heads and units are added.
        tokens: the variable of the tokens that the program sees.
        reach: the number of positions of a stream.
    """

    def __init__(self, circuit: Circuit, tokens: Symbol, reach: int) -> None:
        self.circuit, self.tokens, self.reach = circuit, tokens, reach
        self.variables: dict[int, Any] = {}
        self.numbers: dict[Count, int] = {}
        self.keys, self.nodes = dict[Any, int](), dict[int, int]()

    def compile(self, program: Program) -> Symbol:
        """Return the variable of the next token."""
        output = self.variable(build_graph(program))
        if not isinstance(output, Symbol):
            raise NotCompilable("its output is no token")
        return output

    def variable(self, node: Node) -> Any:
        """Return the variable of a node; equal nodes share one."""
        key = self.key(node)
        if key not in self.variables:
            self.variables[key] = getattr(self, f"_{node.op}")(node)
        return self.variables[key]

    def key(self, node: Node) -> int:
        """Return a number that is the same for equal expressions."""
        if id(node) not in self.nodes:
            key = (node.op, *map(self.key, node.inputs), *_identity(node.parameter))
            self.nodes[id(node)] = self.keys.setdefault(key, len(self.keys))
        return self.nodes[id(node)]

    def _tokens(self, node: Node) -> Symbol:
        return self.tokens

    def _full(self, node: Node) -> Symbol:
        return Symbol({node.parameter: PROGRAM})

    def _indices(self, node: Node) -> Place:
        return Place()

    def _tok_map(self, node: Node) -> Variable:
        x = self.variable(node.inputs[0])
        return self._map_symbol(x, node.parameter) if isinstance(x, Symbol) else self._map_index(x, node.parameter)

    def _map_symbol(self, x: Symbol, function: Callable[..., Any]) -> Symbol:
        values = sorted(x.forms)
        results = applied(function, Value(torch.tensor(values)))
        return Symbol(remapped(x, dict(zip(values, results.data.tolist(), strict=True))))

    def _map_index(self, x: Place | Count, function: Callable[..., Any]) -> Variable:
        values = torch.tensor(list(RANGE))
        result = applied(function, Value(values, "index"))
        if result.kind == "index":
            offsets = (result.data - values).unique()
            if isinstance(x, Place) and len(offsets) == 1:
                return x.plus(int(offsets))
            raise NotCompilable(f"computes with {_article(x)} other than by adding a constant to a position")
        buckets = self._buckets(x, _changes(result.data.tolist()))
        return Symbol(remapped(buckets, {first: int(result.data[first - RANGE.start]) for first in buckets.forms}))

    def _buckets(self, x: Place | Count, firsts: list[int]) -> Symbol:
        """Return the symbol that says in which interval a position or number is, by the first value of each."""
        if isinstance(x, Count):
            firsts = [first for first in firsts if first > 0]
        channels = self.circuit.channels(len(firsts))
        at_least: list[Form] = [PROGRAM, *({channel: 1.0} for channel in channels)]
        for first, channel in zip(firsts, channels, strict=True):
            form, below, above = x.threshold(first) if isinstance(x, Count) else _place_threshold(x, first)
            self.circuit.add_units(steps(form, below, above, {channel: 1.0}))
        after: list[Form] = [*at_least[1:], {}]
        forms = [total(one, times(-1.0, other)) for one, other in zip(at_least, after, strict=True)]
        return Symbol(dict(zip([0 if isinstance(x, Count) else RANGE.start, *firsts], forms, strict=True)))

    def _seq_map(self, node: Node) -> Symbol:
        x, y = map(self.variable, node.inputs)
        if isinstance(x, Symbol) and isinstance(y, Symbol):
            return self._map_symbols(x, y, node.parameter)
        if isinstance(x, Symbol):
            return self._map_mixed(y, x, lambda index, symbol: node.parameter(symbol, index))
        if isinstance(y, Symbol):
            return self._map_mixed(x, y, node.parameter)
        return self._compare(x, y, node.parameter)

    def _map_symbols(self, x: Symbol, y: Symbol, function: Callable[..., Any]) -> Symbol:
        first, second = (torch.tensor(sorted(symbol.forms)) for symbol in (x, y))
        results = applied(function, Value(first[:, None].expand(-1, len(second))), Value(second.expand(len(first), -1)))
        pairs = torch.cartesian_prod(first, second).tolist()
        return look_up(
            self.circuit, {(a, b): r for (a, b), r in zip(pairs, results.data.flatten().tolist(), strict=True)}, x, y
        )

    def _map_mixed(self, x: Place | Count, y: Symbol, function: Callable[..., Any]) -> Symbol:
        """Map a position or number and a symbol: find the interval of the first, then look up."""
        index, values = torch.tensor(list(RANGE)), torch.tensor(sorted(y.forms))
        result = applied(
            function, Value(index[:, None].expand(-1, len(values)), "index"), Value(values.expand(len(index), -1))
        )
        if result.kind == "index":
            raise NotCompilable(f"chooses {_article(x)} by a token")
        buckets = self._buckets(x, _changes(result.data.tolist()))
        rows = {first: result.data[first - RANGE.start].tolist() for first in buckets.forms}
        table = {(a, b): row[i] for a, row in rows.items() for i, b in enumerate(values.tolist())}
        return look_up(self.circuit, table, buckets, y)

    def _compare(self, x: Place | Count, y: Place | Count, function: Callable[..., Any]) -> Symbol:
        """Compare two positions or two numbers: the result depends on the sign of their difference."""
        differences, result = on_pairs(function)
        by_sign = {value: result.data[differences.sign() == value].unique() for value in (-1, 0, 1)}
        if type(x) is not type(y) or result.kind == "index" or any(len(values) > 1 for values in by_sign.values()):
            raise NotCompilable(f"combines {_article(x)} and {_article(y)} other than by comparing two of a kind")
        form = total(self._value(x), times(-1.0, self._value(y)))
        negative, positive = self.circuit.channels(2)
        step = 0.75 / UNIT
        units = [*steps(times(-1.0, form), 0.0, step, {negative: 1.0}), *steps(form, 0.0, step, {positive: 1.0})]
        self.circuit.add_units(units)
        forms = {-1: {negative: 1.0}, 0: total(PROGRAM, {negative: -1.0, positive: -1.0}), 1: {positive: 1.0}}
        return Symbol(remapped(Symbol(forms), {value: int(results) for value, results in by_sign.items()}))

    def _value(self, x: Place | Count) -> Form:
        """Return a form that increases with a position or a number, by at least ``0.75 / UNIT``."""
        if isinstance(x, Place):
            return x.value
        if x not in self.numbers:
            self.numbers[x] = number_of(self.circuit, x)
        return {self.numbers[x]: 1.0}

    def _select(self, node: Node) -> tuple[Scores, Form]:
        """Return the scores of a selection, and a form of keys of which the selected have the largest value."""
        k, q = map(self.variable, node.inputs) if not self._selects_extreme(node) else (None, None)
        if k is None:
            counts = self.variable(node.inputs[0])
            sign = 1.0 if node.inputs[1].op == "aggr_max" else -1.0
            return (), times(sign, self._value(counts))
        if isinstance(k, Symbol) and isinstance(q, Symbol):
            return symbol_scores(k, q, node.parameter), {}
        if isinstance(k, Place) and isinstance(q, Place) and is_equality(node.parameter):
            return place_scores(k, q), {}
        if selects_all(node.parameter):
            return (), {}
        raise NotCompilable(f"selects by comparing {_article(k)} with {_article(q)}, for which only == is supported")

    def _selects_extreme(self, node: Node) -> bool:
        """Whether a selection takes the positions whose number equals the largest or smallest so far."""
        keys, queries = node.inputs
        if queries.op not in ("aggr_max", "aggr_min") or not isinstance(self.variable(keys), Count):
            return False
        selector, values = queries.inputs
        is_extreme = self.key(values) == self.key(keys) and selects_all(selector.parameter)
        return is_extreme and is_equality(node.parameter)

    def _aggr_max(self, node: Node) -> Variable:
        return self._aggregate(node, 1.0)

    def _aggr_min(self, node: Node) -> Variable:
        return self._aggregate(node, -1.0)

    def _aggr_mean(self, node: Node) -> Variable:
        raise NotCompilable("takes a mean, which may be compared with any fraction")

    def _aggregate(self, node: Node, sign: float) -> Variable:
        """Return the largest or smallest selected value; the sink's is the default."""
        v, (scores, extreme) = self.variable(node.inputs[1]), self.variable(node.inputs[0])
        if isinstance(v, Count):
            raise NotCompilable("aggregates numbers of positions other than to select the largest or smallest of them")
        preferred, spread = preference(v, sign, self.reach)
        if extreme:
            preferred = total(preferred, times((spread + SHARP) / 0.75 * UNIT, extreme))
            spread = (spread + SHARP) / 0.75 * self.reach
        strength = spread + SHARP
        pairs = [(times(2 * strength, query), key) for query, key in scores]
        pairs.append((PROGRAM, total(times(strength, PROGRAM), preferred)))
        return self._symbol_head(pairs, v, node) if isinstance(v, Symbol) else self._place_head(pairs, v, node)

    def _symbol_head(self, pairs: list[tuple[Form, Form]], v: Symbol, node: Node) -> Symbol:
        values = sorted({*v.forms, node.parameter})
        channels = self.circuit.channels(len(values))
        sink = {value: {SINK: 1.0} if value == node.parameter else {} for value in values}
        read = [total(v.forms.get(value, {}), sink[value]) for value in values]
        self.circuit.add_head(pairs, dict(zip(channels, read, strict=True)))
        # The sink itself attends to itself, so it has the default; no variable may have a value there.
        return Symbol(
            {
                value: total({channel: 1.0}, times(-1.0, sink[value]))
                for value, channel in zip(values, channels, strict=True)
            }
        )

    def _place_head(self, pairs: list[tuple[Form, Form]], v: Place, node: Node) -> Place:
        default = max(node.parameter, NOWHERE)
        constants = [*point(default), default / UNIT]
        channels = self.circuit.channels(len(constants))
        forms = [total(form, {SINK: constant}) for form, constant in zip([*v.point, v.value], constants, strict=True)]
        self.circuit.add_head(pairs, dict(zip(channels, forms, strict=True)))
        *circles, value = [{c: 1.0, SINK: -constant} for c, constant in zip(channels, constants, strict=True)]
        return Place(tuple(circles), value)

    def _sel_width(self, node: Node) -> Count:
        scores, extreme = self.variable(node.inputs[0])
        if extreme:
            raise NotCompilable("counts the positions of the largest or smallest number")
        [channel] = self.circuit.channels(1)
        pairs = [(times(SHARP, query), key) for query, key in scores]
        self.circuit.add_head(pairs, {channel: {SINK: 1.0}})
        return Count(channel)


def _changes(results: list[Any]) -> list[int]:
    """Return where a function of positions or numbers changes."""
    return [RANGE[i] for i in range(1, len(results)) if results[i] != results[i - 1]]


def _place_threshold(x: Place, least: int) -> tuple[Form, float, float]:
    """Return the form of a position, and its values for ``least - 1`` and ``least``."""
    return x.value, (least - 1) / UNIT, least / UNIT


def _article(x: Any) -> str:
    return {Symbol: "a token", Place: "a position", Count: "a number of positions"}[type(x)]
