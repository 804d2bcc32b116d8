"""The interface of a task: three methods and a few class attributes.

``sample`` draws sources of one length, ``solve`` computes their targets, and ``grade`` (optional) decides which
predictions are correct. All are vectorised over rows and run on the device of their inputs. A batch has one length, so
there is no padding and no mask.

A task is one file with one public class. The name of the file is the name of the task, and the keyword parameters of
``__init__`` are its options. The class docstring has worked examples, which are executed as tests and shown to users::

    Examples:
        1 0 1 1 -> 1
        base=2: 1 0 + 1 1 -> 1 0 1        (options before the colon, `.` for positions without a target)
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import torch
from torch import Tensor

IGNORE = -100
"""The target of positions that do not count (``ignore_index`` of torch)."""

Answer = Literal["generate", "readout", "tag"]


class Stream(Protocol):
    """The source of randomness of ``sample``: one independent stream of numbers per row, equal on every device."""

    rows: int
    device: torch.device

    def integers(self, high: int | Tensor, *shape: int) -> Tensor:
        """Return long ``[rows, *shape]``, uniform in ``[0, high)``; a tensor ``high`` broadcasts to the shape."""
        ...

    def uniform(self, *shape: int) -> Tensor:
        """Return float ``[rows, *shape]``, uniform in ``[0, 1)``."""
        ...

    def permutation(self, n: int) -> Tensor:
        """Return long ``[rows, n]`` with a uniform permutation of ``range(n)`` in every row."""
        ...


class Task:
    """A problem that exists at many lengths.

    Class attributes:
        symbols: the alphabet; token ids are indices into it. It may depend on the options (set it in ``__init__``).
        answer: how a model answers. ``generate``: autoregressively, so the answer so far is its input. ``readout``: the
            inputs are blanks, and the whole answer is read at their positions. ``tag``: one label per source position.
        lengths: the lengths of the task, as a ``range``.
        online: whether the labels of a ``tag`` task reveal later source tokens, so that only online models are allowed.
        paper: the publication that the task comes from.
        program: its shortest known program in RASP-L (``tasks/rasp``), a function of the tokens so far; None if none is
            known. Set it in ``__init__``, or as a ``staticmethod``.
        algorithm_readers: simple readers (``last token``, ``counts modulo 2 and 3``, ...; see
            ``harness/evaluation/readers.py``) that are the task's own algorithm. They do not count as shortcuts.
        known_shortcuts: simple readers that answer the task although they are not its algorithm, because its published
            definition allows it. Reports say so. ``constant`` stands for all readers.
    """

    symbols: tuple[str, ...]
    answer: Answer = "readout"
    lengths: range = range(1, 1 << 24)
    online: bool = False
    paper: str = ""
    program: Callable[[Any], Any] | None = None
    algorithm_readers: tuple[str, ...] = ()
    known_shortcuts: tuple[str, ...] = ()

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw sources: long ``[rows, source_length]``. All rows have one source length."""
        raise NotImplementedError

    def solve(self, source: Tensor) -> Tensor:
        """Return the targets: long ``[rows, target_length]``, ``IGNORE`` at positions that do not count.

        With ``generate``, an answer may be shorter than its row, and the rest is ``IGNORE``. With ``tag``, the target
        is as long as the source.
        """
        raise NotImplementedError

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Return (correct, counted), bool ``[rows, target_length]``; override it if several answers are correct."""
        return prediction == target, target != IGNORE

    def events_since(self, source: Tensor) -> Tensor | None:
        """Return how many events lie between the one that a target asks for and its question, or None if undefined.

        Long ``[rows, target_length]``, ``IGNORE`` where nothing is asked. Events are the units in which an input
        changes what has to be remembered: records, lines, instructions. Reports show errors by this number. Scores do
        not depend on it, so the fingerprint of a task leaves this method out.
        """
        return None


@dataclass(frozen=True)
class Example:
    """A worked example from a docstring: options as text, source and answer as symbols."""

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
    ids = {symbol: index for index, symbol in enumerate(symbols)}
    return torch.tensor([[IGNORE if token == "." and "." not in ids else ids[token] for token in tokens]])


def decode(symbols: tuple[str, ...], row: Tensor) -> tuple[str, ...]:
    """Return the symbols of one row of ids; ``IGNORE`` is ``.``."""
    return tuple("." if index == IGNORE else symbols[index] for index in row.tolist())
