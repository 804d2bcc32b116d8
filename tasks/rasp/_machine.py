"""What runs a RASP-L program and measures it: all positions of all rows at once, on the device of the tokens."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from tasks.rasp._language import END, START, Node, RuleBroken, Sequence, Value

Program = Callable[[Sequence], Sequence]
Memory = dict[int, Value]

_A = {"index": "an index", "mean": "a mean"}


def graph(program: Program) -> Sequence:
    """Return the expression a program builds; raise :class:`RuleBroken` where it gives back something else."""
    output = program(Sequence("tokens"))
    if not isinstance(output, Sequence):
        raise RuleBroken(f"must give back a sequence, not {type(output).__name__}")
    return output


def length(program: Program) -> int:
    """Return the number of core operations after library expansion; the same operation twice counts once."""
    seen: dict[tuple[Any, ...], int] = {}
    numbers: dict[int, int] = {}

    def number(node: Node) -> int:
        if id(node) not in numbers:
            key = (node.op, *(number(each) for each in node.inputs), *_identity(node.given))
            numbers[id(node)] = seen.setdefault(key, len(seen))
        return numbers[id(node)]

    number(graph(program))
    return sum(key[0] != "tokens" for key in seen)


def _identity(given: Any) -> tuple[Any, ...]:
    """Return what makes two functions one: their code and what they close over."""
    if hasattr(given, "__code__"):
        cells = given.__closure__ or ()
        return given.__code__, *(repr(cell.cell_contents) for cell in cells), repr(given.__defaults__)
    return (given.func, *given.args) if hasattr(given, "func") else (given,)


def evaluate(output: Sequence, tokens: Tensor, bound: int | None = None) -> Value:
    """Evaluate an expression on tokens, long ``[rows, L]``.

    Args:
        output: the expression.
        tokens: ids of symbols, :data:`START`.
        bound: the largest absolute value a token may have; None does not look (on a GPU, looking waits for it).
    """
    memory: Memory = {}

    def value(node: Node) -> Value:
        if id(node) not in memory:
            inputs = [value(each) for each in node.inputs]
            memory[id(node)] = _OPERATIONS[node.op](tokens, node.given, *inputs)
            _check(memory[id(node)], bound)
        return memory[id(node)]

    return value(output)


def _check(value: Value, bound: int | None) -> None:
    if value.data.is_floating_point() and value.kind != "mean":
        raise RuleBroken("computes with fractions: values are integers")
    if bound is None or value.kind != "token" or value.data.numel() == 0:
        return
    largest = int(value.data.abs().max())
    if largest > bound:
        raise RuleBroken(f"reaches {largest}: integers are bounded by {bound}")


def _map(tokens: Tensor, function: Callable[..., Any], *values: Value) -> Value:
    made = function(*values)
    if isinstance(made, int):
        return Value(torch.full_like(tokens, made))
    if not isinstance(made, Value):
        raise RuleBroken(f"has a function that gives back {type(made).__name__}, not a value")
    return made


def _select(tokens: Tensor, predicate: Callable[..., Any], k: Value, q: Value) -> Value:
    seen = _map(tokens, predicate, Value(k.data[:, None, :], k.kind), Value(q.data[:, :, None], q.kind))
    size = tokens.shape[1]
    causal = torch.ones(size, size, dtype=torch.bool, device=tokens.device).tril()
    return Value((seen.data.bool() & causal).long())  # [rows, query, key]


def _mean(tokens: Tensor, default: int, selector: Value, v: Value) -> Value:
    width = selector.data.sum(-1)
    total = (selector.data * v.data[:, None, :]).sum(-1)
    return Value(torch.where(width > 0, total.double() / width.clamp(min=1), float(default)), "mean")


def _extreme(largest: bool, tokens: Tensor, default: int, selector: Value, v: Value) -> Value:
    if v.kind == "mean":
        raise RuleBroken("aggregates means: they may only be compared")
    limits = torch.iinfo(torch.long)
    nothing = limits.min if largest else limits.max
    seen = v.data[:, None, :].masked_fill(selector.data == 0, nothing)
    found = seen.amax(-1) if largest else seen.amin(-1)
    return Value(found.masked_fill(selector.data.sum(-1) == 0, default), v.kind)


_OPERATIONS: dict[str, Callable[..., Value]] = {
    "tokens": lambda tokens, _: Value(tokens),
    "full": lambda tokens, constant: Value(torch.full_like(tokens, constant)),
    "indices": lambda tokens, _: Value(torch.arange(tokens.shape[1], device=tokens.device).expand_as(tokens), "index"),
    "tok_map": _map,
    "seq_map": _map,
    "select": _select,
    "sel_width": lambda _, __, selector: Value(selector.data.sum(-1), "index"),
    "aggr_mean": _mean,
    "aggr_max": lambda *given: _extreme(True, *given),
    "aggr_min": lambda *given: _extreme(False, *given),
}


def next_tokens(program: Program, tokens: Tensor, bound: int | None = None) -> Tensor:
    """Return what comes next at each position, long ``[rows, L]``: ids of symbols, or :data:`END`."""
    made = evaluate(graph(program), tokens, bound)
    if made.kind != "token":
        raise RuleBroken(f"gives out {_A[made.kind]}: only tokens are given out")
    return made.data


def forced(program: Program, source: Tensor, answer: Tensor, bound: int | None = None) -> Tensor:
    """Return what the program says at each position of an answer that it is given, in one pass.

    Args:
        program: the program.
        source: questions, long ``[rows, S]``.
        answer: answers, long ``[rows, T]``; what stands beyond their end does not matter.
        bound: as in :func:`evaluate`.

    Returns:
        Long ``[rows, T + 1]``, for the tokens of the answer and what follows it.
    """
    start = torch.full_like(source[:, :1], START)
    return next_tokens(program, torch.cat((source, start, answer), dim=1), bound)[:, source.shape[1] :]


def generate(program: Program, source: Tensor, symbols: int, limit: int, ignore: int) -> Tensor:
    """Run a program on its own answers until every row has ended, long ``[rows, T]``, ``ignore`` beyond the end.

    Raises:
        RuleBroken: a row has not ended after ``limit`` tokens, or leaves the alphabet.
    """
    answer = source[:, :0]
    ended = torch.zeros_like(source[:, 0], dtype=torch.bool)
    for _ in range(limit + 1):
        new = forced(program, source, answer.masked_fill(answer == ignore, END))[:, -1]
        ended = ended | (new == END)
        if bool(ended.all()):
            return answer
        foreign = new[~ended & ((new < 0) | (new >= symbols))]
        if len(foreign):
            raise RuleBroken(f"leaves its alphabet: it gives out {int(foreign[0])}, beyond 0 to {symbols - 1} and END")
        answer = torch.cat((answer, new.masked_fill(ended, ignore)[:, None]), dim=1)
    raise RuleBroken(f"never ends: no END after {limit} tokens, on a question of {source.shape[1]}")
