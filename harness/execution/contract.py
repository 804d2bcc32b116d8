"""What a user's task or architecture must declare and produce. ``run`` asks it in the plan, and so does ``check``.

A wrong declaration may leave a model that trains and scores, but not on the task that was meant. A misspelt ``answer``,
for example, switches off the rule that a model which looks ahead cannot generate. Each function here yields problems,
one line each. Later problems may depend on earlier ones, so a caller uses the first and stops there.
"""

import inspect
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, get_args

import torch
from torch import Tensor

from architectures.base import Block, Mixer, SequenceModel
from architectures.parts.positions import PositionName
from harness.data.presentation import SPECIALS, Presentation
from harness.errors import close_match, suggest
from harness.evaluation.readers import LINEAR_READERS, LOOKUP_READERS
from harness.registry.options import signature
from tasks.base import IGNORE, Answer, Task

SHOWN = 60
"""Letters of a wrong value in a message."""
SIMILAR = 0.8
"""Similarity from which an unknown attribute counts as a misspelt one, between 0 and 1."""
READERS = (*LOOKUP_READERS, *LINEAR_READERS)


@dataclass(frozen=True)
class Rule:
    """The rule for the value of a class attribute; ``choices`` are the valid values, where they are few."""

    accepts: Callable[[Any], bool]
    text: str
    choices: tuple[str, ...] = ()


def _one_of(choices: tuple[str, ...]) -> Rule:
    return Rule(lambda value: isinstance(value, str) and value in choices, f"one of {', '.join(choices)}", choices)


def _readers(value: Any) -> bool:
    return isinstance(value, tuple) and all(isinstance(name, str) and name in READERS for name in value)


BOOL = Rule(lambda value: isinstance(value, bool), "True or False")
TEXT = Rule(lambda value: isinstance(value, str), "a text")
COUNT = Rule(lambda value: type(value) is int and value >= 1, "a whole number of at least 1")
NAMES = Rule(_readers, f"a tuple of names of simple readers ({', '.join(READERS)})", READERS)
SYMBOLS = Rule(lambda value: isinstance(value, tuple), "a tuple")
RULES: dict[type, dict[str, Rule]] = {
    Task: {
        "answer": _one_of(get_args(Answer)),
        "lengths": Rule(
            lambda value: isinstance(value, range) and bool(value) and value.step > 0 and value[0] >= 1,
            "a range that rises from 1 or more, for example range(1, 1000)",
        ),
        "online": BOOL,
        "paper": TEXT,
        "program": Rule(lambda value: value is None or callable(value), "a function or None"),
        "algorithm_readers": NAMES,
        "known_shortcuts": NAMES,
    },
    Mixer: {
        "causal": BOOL,
        "native": Rule(lambda value: isinstance(value, Block), "a Block"),
        "position": _one_of(tuple(name for name in get_args(PositionName) if name != "native")),
        "attends": BOOL,
        "reference": Rule(lambda value: value is None or isinstance(value, str), "the name of a kernel or None"),
        "heads": COUNT,
        "reads_positions": BOOL,
        "beside_feed_forward": Rule(lambda value: isinstance(value, Mapping), "a dict of options"),
    },
    SequenceModel: {
        "causal": BOOL,
        "online": BOOL,
        "can_step": BOOL,
        "reach": Rule(lambda value: value is None or COUNT.accepts(value), "a whole number of at least 1, or None"),
    },
}
"""The rules for class attributes, by the base class that documents them."""


def declaration_problems(thing: Any) -> Iterator[str]:
    """Yield what is wrong with the attributes of a task, mixer or model; ``thing`` is an instance or its class."""
    cls = thing if isinstance(thing, type) else type(thing)
    base = next(base for base in RULES if issubclass(cls, base))
    if thing is not cls:
        yield from _misspelt(thing, base)
    if base is Task and (hasattr(thing, "symbols") or thing is not cls):
        yield from symbol_problems(getattr(thing, "symbols", None))
    for name, rule in RULES[base].items():
        value = getattr(thing, name)
        # A property has its value only on an instance.
        if not (isinstance(value, property) or rule.accepts(value)):
            yield f"{name} = {_shown(value)} must be {rule.text}{_hint(value, rule.choices)}"
    for option in signature(cls):
        if option.default is inspect.Parameter.empty:
            yield f"option {option.name} has no default; give every keyword parameter of __init__ one"


def symbol_problems(symbols: Any) -> Iterator[str]:
    """Yield what is wrong with an alphabet: symbols are distinct words, none of them a special symbol."""
    if not isinstance(symbols, tuple) or not symbols:
        yield f'symbols = {_shown(symbols)} must be a tuple of at least one word, for example ("a", "b")'
        return
    for symbol in symbols:
        if not isinstance(symbol, str) or symbol.split() != [symbol]:
            yield f"symbols = {_shown(symbols)}: {_shown(symbol)} must be a text without spaces, at least one letter"
        elif symbol in SPECIALS:
            specials = ", ".join(SPECIALS)
            yield f"symbols = {_shown(symbols)}: {symbol} is one of the special symbols {specials}; rename it"
        elif symbols.count(symbol) > 1:
            yield f"symbols must be distinct, but {symbol!r} is {symbols.count(symbol)} times in {_shown(symbols)}"


def _misspelt(thing: Any, base: type) -> Iterator[str]:
    """Yield the attributes of an instance whose name is close to one of the base class that is not set."""
    cls: type = type(thing)
    documented = {name for name in {*vars(base), *inspect.get_annotations(base)} if not name.startswith("_")}
    attributes = {k: v for parent in cls.__mro__ if parent not in base.__mro__ for k, v in vars(parent).items()}
    options = {option.name for option in signature(cls)}
    attributes |= {name: value for name, value in vars(thing).items() if name not in options}
    for name, value in attributes.items():
        if name.startswith("_") or hasattr(base, name) or name in documented:
            continue
        is_method = inspect.isroutine(value)
        candidates = {n for n in documented - set(attributes) if inspect.isroutine(vars(base).get(n)) == is_method}
        match = close_match(name.lower(), candidates, SIMILAR)
        # A singular such as `length` is a name of its own, unless its value is one for the plural.
        rule = RULES[base].get(match or "", SYMBOLS)
        if match and (match != f"{name}s" or rule.accepts(value)):
            what = f"method {name}" if is_method else f"attribute {name} = {_shown(value)}"
            yield f"{what} is unknown; did you mean {match}?"


def _shown(value: Any) -> str:
    text = " ".join(repr(value).split())
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}..."


def _hint(value: Any, choices: tuple[str, ...]) -> str:
    """Suggest the choice closest to a wrong value, or to the first wrong one of several."""
    names = value if isinstance(value, list | tuple) else (value,)
    wrong = next((name for name in names if isinstance(name, str) and name not in choices), "")
    return suggest(wrong, choices) if wrong and close_match(wrong, choices) else ""


def shape_problems(function: str, tensor: Any, rows: int, length: int) -> Iterator[str]:
    """Yield whether the result of ``sample`` or ``solve`` is not a tensor of one row for each row of the stream."""
    if not isinstance(tensor, Tensor):
        yield f"{function} at length {length} gives {_shown(tensor)}, not a tensor [{rows}, tokens]"
    elif tensor.dim() != 2 or len(tensor) != rows or tensor.shape[1] == 0:
        yield f"{function} at length {length} gives {list(tensor.shape)} for {rows} rows, not [{rows}, tokens]"


def id_problems(function: str, ids: Tensor, size: int, length: int) -> Iterator[str]:
    """Yield whether token ids are not int64, or outside the alphabet."""
    if ids.dtype != torch.long:
        yield f"{function} at length {length} gives {ids.dtype}, not torch.int64"
    foreign = ids[(ids < 0) | (ids >= size)].unique().tolist()
    if foreign:
        yield f"{function} at length {length} gives ids outside 0 to {size - 1}: {foreign[:3]}"


def sampling_problems(source: Tensor, same: Tensor) -> Iterator[str]:
    """Yield whether two draws from the same stream differ."""
    if not torch.equal(source, same):
        yield "the same stream gave other sources; draw from the stream only"


def purity_problems(original: Tensor, source: Tensor, target: Tensor, repeated: Tensor) -> Iterator[str]:
    """Yield whether ``solve`` changed its source, or gave two targets for it."""
    if not torch.equal(source, original):
        yield "solve writes into its source; clone the source before a write"
    if not torch.equal(target, repeated):
        yield "solve gave two targets for the same source; keep no state between calls"


def label_problems(task: Task, source: Tensor, target: Tensor) -> Iterator[str]:
    """Yield whether a tag task does not have one label for each token."""
    if task.answer == "tag" and target.shape != source.shape:
        widths = f"{target.shape[1]} labels for {source.shape[1]} tokens"
        yield f"a tag task must label every source token, but gives {widths}"


def target_problems(task: Task, target: Tensor, length: int) -> Iterator[str]:
    """Yield whether a target has gaps that its answer mode does not allow, or asks nothing."""
    asked = target != IGNORE
    if task.answer == "generate" and bool((asked[:, 1:] & ~asked[:, :-1]).any()):
        yield f"a target at length {length} has IGNORE before its last token; use it only after that"
    if task.answer != "generate" and not bool(asked.any(1).all()):
        yield f"a row at length {length} has no target: it is all IGNORE; give it at least one token"


def empty_problems(target: Tensor, length: int) -> Iterator[str]:
    """Yield whether all answers of one length are empty."""
    if not bool((target != IGNORE).any()):
        yield f"none of {len(target)} answers at length {length} has a token: solve returns only IGNORE"


def mode_problems(presentation: Presentation, source: Tensor, length: int) -> Iterator[str]:
    """Yield whether most rows have no target in the answer mode in which the task is asked."""
    asked = (presentation(source).target != IGNORE).any(1)
    if not bool(asked.double().mean() > 0.5):
        empty = f"{int((~asked).sum())} of {len(asked)} rows have no target"
        yield f"in answer mode {presentation.mode} at length {length}, {empty}; solve must return fewer IGNORE"


def grade_problems(task: Task, source: Tensor, target: Tensor, length: int) -> Iterator[str]:
    """Yield whether ``grade`` has a wrong form, rejects the target, or counts nothing."""
    correct, counted = task.grade(source, target, target)
    for name, tensor in (("correct", correct), ("counted", counted)):
        if tensor.shape != target.shape or tensor.dtype != torch.bool:
            yield f"grade: {name} is {list(tensor.shape)} {tensor.dtype}, not {list(target.shape)} torch.bool"
    if not bool((correct | ~counted).all()):
        yield f"the grade must accept the target, but does not at length {length}"
    if task.answer != "generate" and not bool(counted.any(1).all()):
        yield f"grade must count at least one token in each row, but counts none at length {length}"


def tolerance_problems(task: Task, source: Tensor, target: Tensor) -> Iterator[str]:
    """Yield whether ``grade`` accepts a prediction in which every token is changed."""
    correct, counted = task.grade(source, target, (target + 1) % max(2, len(task.symbols)))
    if not bool((counted & ~correct).any()):
        yield "the grade accepts predictions in which every token is changed"
