"""The contract of a task: three functions and a few facts.

``sample`` draws questions of one length, ``solve`` answers them, ``grade`` (optional) says which answers count as
right. All are vectorised over rows and run on the device they are given. A batch has one length, so there is no
padding and no mask anywhere.

A task is one file with one public class. The file's name is its name and the keyword parameters of ``__init__`` are
its options. The class docstring holds worked examples, which are executed as tests and shown to users::

    Examples:
        1 0 1 1 -> 1
        base=2: 1 0 + 1 1 -> 1 0 1        (options before the colon, `.` where nothing is asked)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

IGNORE = -100
"""The target where nothing is asked (torch's ``ignore_index``)."""

Answer = Literal["generate", "readout", "tag"]


class Stream(Protocol):
    """Where ``sample`` gets its randomness: one independent stream of numbers a row, the same on every device."""

    rows: int
    device: torch.device

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Long ``[rows, *shape]``, uniform in ``[0, high)``; ``high`` may be a tensor that broadcasts to the shape."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Float ``[rows, *shape]``, uniform in ``[0, 1)``."""
        ...

    def permutation(self, n: int) -> Tensor:
        """Long ``[rows, n]``, a uniform permutation of ``range(n)`` in every row."""
        ...


class Task:
    """One question in all its lengths.

    Facts:
        symbols: the alphabet; token ids are positions in it. May depend on the options (set it in ``__init__``).
        answer: how the question is asked. ``generate``: the answer so far is fed back. ``readout``: blanks are fed and
            the whole answer is read from them. ``tag``: a label at each source position.
        lengths: the lengths the task has, as a ``range``.
        online: the labels of a ``tag`` task give away later source tokens, so only an online model may be asked.
        paper: where the task comes from.
        program: its shortest known program in RASP-L (``tasks/rasp``), a function of the tokens so far; None if none is
            known. Set it in ``__init__``, or as a ``staticmethod``.
    """

    symbols: tuple[str, ...]
    answer: Answer = "readout"
    lengths: range = range(1, 1 << 24)
    online: bool = False
    paper: str = ""
    program: Callable[[Any], Any] | None = None

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw questions: long ``[rows, source_length]``. All rows have one source length."""
        raise NotImplementedError

    def solve(self, source: Tensor) -> Tensor:
        """Answer them: long ``[rows, target_length]``, ``IGNORE`` where nothing is asked.

        In ``generate`` an answer may be shorter than its row: the rest is ``IGNORE``. In ``tag`` the target is as long
        as the source.
        """
        raise NotImplementedError

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Return (correct, counted), bool ``[rows, target_length]``. Override where more than one answer is right."""
        return prediction == target, target != IGNORE


@dataclass(frozen=True)
class Example:
    """A worked example of a docstring: options as written, source and answer as symbols."""

    options: str
    source: tuple[str, ...]
    answer: tuple[str, ...]

    def __str__(self) -> str:
        line = f"{' '.join(self.source)} -> {' '.join(self.answer)}"
        return f"{self.options}: {line}" if self.options else line


_EXAMPLE = re.compile(r"^\s*(?:(?P<options>\w+=\S+):\s+)?(?P<source>\S.*?) -> (?P<answer>.*?)(?:\s{2,}\(.*)?$")


def worked_examples(task: type[Task]) -> Iterator[Example]:
    """Yield the examples in the class docstring: every line with `` -> `` after the line ``Examples:``."""
    _, _, section = (task.__doc__ or "").partition("Examples:")
    for line in section.splitlines():
        match = _EXAMPLE.match(line)
        if match:
            yield Example(match["options"] or "", tuple(match["source"].split()), tuple(match["answer"].split()))


def encode(symbols: tuple[str, ...], tokens: tuple[str, ...]) -> Tensor:
    """Return the ids of ``tokens`` as one row, long ``[1, n]``; ``.`` is ``IGNORE``."""
    where = {symbol: index for index, symbol in enumerate(symbols)}
    return torch.tensor([[IGNORE if token == "." and "." not in where else where[token] for token in tokens]])


def decode(symbols: tuple[str, ...], row: Tensor) -> tuple[str, ...]:
    """Return the symbols of one row of ids; ``IGNORE`` is ``.``."""
    return tuple("." if index == IGNORE else symbols[index] for index in row.tolist())
