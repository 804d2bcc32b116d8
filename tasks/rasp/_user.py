"""Tasks from the RASP-L programs of a user: sources are drawn from an alphabet, and the program computes the answers.

The file of the programs declares ``ALPHABET``, a string or a sequence of symbols, and ``DISTINCT = True`` if they
require sources without repeated tokens. Each public function of one argument in the file is a program.
"""

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.rasp._language import RuleBroken
from tasks.rasp._machine import generate, next_tokens

INT8 = 127
TRIAL_LENGTHS = (1, 2, 3, 5, 8)
TRIAL_ROWS = 32


class UserProgram(Task):
    """Write the tokens that a program outputs until it outputs END."""

    answer = "generate"
    distinct: bool = False
    program: Callable[[Any], Any]

    def __init__(self) -> None:
        if self.distinct:
            self.lengths = range(1, len(self.symbols) + 1)
        try:
            self._try()
        except RuleBroken as error:
            hint = "; if its tokens must differ, declare DISTINCT = True" if "never ends" in str(error) else ""
            raise ValueError(f"the program {error}{'' if self.distinct else hint}") from None
        except Exception as error:
            raise ValueError(f"the program raises {type(error).__name__}: {error}".partition("\n")[0]) from None

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw symbols uniformly, without repeats if the file declares it."""
        count = len(self.symbols)
        return stream.permutation(count)[:, :length] if self.distinct else stream.integers(count, length)

    def solve(self, source: Tensor) -> Tensor:
        """Run the program autoregressively."""
        size = source.shape[1]
        return generate(self.program, source, len(self.symbols), limit=10 * size + 100, ignore=IGNORE)

    def _try(self) -> None:
        """Run the program on a few short sources and check all integers."""
        generator, count = torch.Generator().manual_seed(0), len(self.symbols)
        for size in (size for size in TRIAL_LENGTHS if size in self.lengths):
            shuffled = torch.rand(TRIAL_ROWS, count, generator=generator).argsort(dim=1)[:, :size]
            source = shuffled if self.distinct else torch.randint(count, (TRIAL_ROWS, size), generator=generator)
            answer = self.solve(source)
            is_empty = (answer == IGNORE).all(dim=1)
            if bool(is_empty.any()):
                text = " ".join(self.symbols[token] for token in source[is_empty][0].tolist())
                raise RuleBroken(f"says END at once for the source `{text}`: an answer needs at least one token")
            tokens = torch.cat((source, answer.clamp(min=0)), dim=1)
            next_tokens(self.program, tokens, max(INT8, 2 * len(self.symbols)))


def programs(module: ModuleType) -> Iterator[str]:
    """Yield the names of the programs of a module; there are none if it declares no alphabet."""
    for name, value in vars(module).items() if hasattr(module, "ALPHABET") else ():
        is_public = inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        if is_public and len(inspect.signature(value).parameters) == 1:
            yield name


def task_of(module: ModuleType, name: str) -> type[Task]:
    """Return the task class of one of the programs of a module."""
    function = getattr(module, name)
    attributes = {
        "symbols": tuple(module.ALPHABET),
        "distinct": bool(getattr(module, "DISTINCT", False)),
        "program": staticmethod(function),
        "__doc__": function.__doc__ or UserProgram.__doc__,
        "__module__": module.__name__,
    }
    return type(name, (UserProgram,), attributes)
