"""Runs RASP-L programs on batches of tokens, on their device, and measures the length of programs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from tasks.rasp._language import END, START, Node, RuleBroken, Sequence, Value

Program = Callable[[Sequence], Sequence]

_NAMES = {"index": "an index", "mean": "a mean"}


def build_graph(program: Program) -> Sequence:
    """Return the expression that a program builds; raise :class:`RuleBroken` if it returns something else."""
    output = program(Sequence("tokens"))
    if not isinstance(output, Sequence):
        raise RuleBroken(f"must return a sequence, not {type(output).__name__}")
    return output


def length(program: Program) -> int:
    """Return the number of core operations after library expansion; equal operations count once."""
    operations: dict[tuple[Any, ...], int] = {}
    numbers: dict[int, int] = {}

    def number(node: Node) -> int:
        if id(node) not in numbers:
            key = (node.op, *map(number, node.inputs), *_identity(node.parameter))
            numbers[id(node)] = operations.setdefault(key, len(operations))
        return numbers[id(node)]

    number(build_graph(program))
    return sum(key[0] != "tokens" for key in operations)


def _identity(parameter: Any) -> tuple[Any, ...]:
    """Return a key that is equal for equal parameters: functions are equal if their code and closures are."""
    if hasattr(parameter, "__code__"):
        cells = parameter.__closure__ or ()
        return parameter.__code__, *(repr(cell.cell_contents) for cell in cells), repr(parameter.__defaults__)
    return (parameter.func, *parameter.args) if hasattr(parameter, "func") else (parameter,)


def evaluate(output: Sequence, tokens: Tensor, bound: int | None = None) -> Value:
    """Evaluate an expression on tokens, long ``[rows, L]``.

    Args:
        output: the expression.
        tokens: ids of symbols, :data:`START`.
        bound: the largest absolute value that a token may have; None skips the check, which synchronises with a GPU.
    """
    values: dict[int, Value] = {}

    def value_of(node: Node) -> Value:
        if id(node) not in values:
            inputs = map(value_of, node.inputs)
            values[id(node)] = _OPERATIONS[node.op](tokens, node.parameter, *inputs)
            _check(values[id(node)], bound)
        return values[id(node)]

    return value_of(output)


def _check(value: Value, bound: int | None) -> None:
    """Raise :class:`RuleBroken` if a value has fractions or a token exceeds the bound."""
    if value.data.is_floating_point() and value.kind != "mean":
        raise RuleBroken("computes with fractions: values are integers")
    if bound is None or value.kind != "token" or value.data.numel() == 0:
        return
    largest = int(value.data.abs().max())
    if largest > bound:
        raise RuleBroken(f"reaches {largest}: integers are bounded by {bound}")


def _map(tokens: Tensor, function: Callable[..., Any], *values: Value) -> Value:
    result = function(*values)
    if isinstance(result, int):
        return Value(torch.full_like(tokens, result))
    if not isinstance(result, Value):
        raise RuleBroken(f"has a function that returns {type(result).__name__}, not a value")
    return result


def _select(tokens: Tensor, predicate: Callable[..., Any], k: Value, q: Value) -> Value:
    selected = _map(tokens, predicate, Value(k.data[:, None, :], k.kind), Value(q.data[:, :, None], q.kind))
    size = tokens.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool, device=tokens.device).tril()
    return Value((selected.data.bool() & causal).long())  # [rows, query, key]


def _mean(tokens: Tensor, default: int, selector: Value, v: Value) -> Value:
    width = selector.data.sum(-1)
    total = (selector.data * v.data[:, None, :]).sum(-1)
    return Value(torch.where(width > 0, total.double() / width.clamp(min=1), float(default)), "mean")


def _extreme(largest: bool, tokens: Tensor, default: int, selector: Value, v: Value) -> Value:
    if v.kind == "mean":
        raise RuleBroken("aggregates means: they may only be compared")
    limits = torch.iinfo(torch.long)
    neutral = limits.min if largest else limits.max
    selected = v.data[:, None, :].masked_fill(selector.data == 0, neutral)
    extreme = selected.amax(-1) if largest else selected.amin(-1)
    return Value(extreme.masked_fill(selector.data.sum(-1) == 0, default), v.kind)


_OPERATIONS: dict[str, Callable[..., Value]] = {
    "tokens": lambda tokens, _: Value(tokens),
    "full": lambda tokens, constant: Value(torch.full_like(tokens, constant)),
    "indices": lambda tokens, _: Value(torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens), "index"),
    "tok_map": _map,
    "seq_map": _map,
    "select": _select,
    "sel_width": lambda _, __, selector: Value(selector.data.sum(-1), "index"),
    "aggr_mean": _mean,
    "aggr_max": partial(_extreme, True),
    "aggr_min": partial(_extreme, False),
}


def next_tokens(program: Program, tokens: Tensor, bound: int | None = None) -> Tensor:
    """Return the next token at each position, long ``[rows, L]``: ids of symbols, or :data:`END`."""
    output = evaluate(build_graph(program), tokens, bound)
    if output.kind != "token":
        raise RuleBroken(f"outputs {_NAMES[output.kind]}: only tokens may be output")
    return output.data


def teacher_forced(program: Program, source: Tensor, answer: Tensor, bound: int | None = None) -> Tensor:
    """Return the output of a program at each position of an answer, in one teacher-forced pass.

    Args:
        program: the program.
        source: sources, long ``[rows, S]``.
        answer: answers, long ``[rows, T]``; tokens after their end do not matter.
        bound: as in :func:`evaluate`.

    Returns:
        Long ``[rows, T + 1]``, the outputs for the tokens of the answer and for the token after it.
    """
    start = torch.full_like(source[:, :1], START)
    return next_tokens(program, torch.cat((source, start, answer), dim=1), bound)[:, source.shape[1] :]


def generate(program: Program, source: Tensor, symbols: int, limit: int, ignore: int) -> Tensor:
    """Run a program autoregressively until every row has ended: long ``[rows, T]``, ``ignore`` after the end.

    Raises:
        RuleBroken: a row has not ended after ``limit`` tokens, or an output is not in the alphabet.
    """
    answer = source[:, :0]
    ended = torch.zeros_like(source[:, 0], dtype=torch.bool)
    for _ in range(limit + 1):
        new = teacher_forced(program, source, answer.masked_fill(answer == ignore, END))[:, -1]
        ended = ended | (new == END)
        if bool(ended.all()):
            return answer
        foreign = new[~ended & ((new < 0) | (new >= symbols))]
        if len(foreign):
            raise RuleBroken(f"leaves its alphabet: it outputs {int(foreign[0])}, not 0 to {symbols - 1} or END")
        answer = torch.cat((answer, new.masked_fill(ended, ignore)[:, None]), dim=1)
    raise RuleBroken(f"never ends: no END after {limit} tokens, for a source of {source.shape[1]} tokens")
