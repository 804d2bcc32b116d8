"""Results of checks: the contract holds, or it is broken and why, or the check was skipped and why."""

import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.errors import UserError

TOLERANCE = 1e-9
"""Largest difference between two float64 forms of one function, relative to the largest value."""

Check = Callable[[Any], str | None]
"""Takes a subject and returns a remark or None. The first line of its docstring is the sentence shown to users."""


class CheckFailed(Exception):
    """The contract is broken; the message says what was expected, what was seen and what to do."""


class Skip(Exception):
    """The check does not apply; the message says why."""


@dataclass(frozen=True)
class Result:
    """The result of one check.

    Args:
        name: the name of the check.
        sentence: what the contract says.
        ok: false if the contract is broken; ``problem`` then says how.
        skipped: why the check or a part of it was skipped.
    """

    name: str
    sentence: str
    ok: bool
    problem: str = ""
    skipped: str = ""


def run_check(name: str, check: Check, subject: Any) -> Result:
    """Run one check with a fixed random seed; every exception it raises becomes a result."""
    sentence = (check.__doc__ or name).strip().partition("\n")[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return Result(name, sentence, True, skipped=check(subject) or "")
        except Skip as reason:
            return Result(name, sentence, True, skipped=str(reason))
        except (CheckFailed, UserError) as problem:
            return Result(name, sentence, False, str(problem))
        except Exception as error:
            return Result(name, sentence, False, f"raised {error_location(error, subject.entry.path)}")


def error_location(error: Exception, path: Path | None) -> str:
    """Return one line: the error, and the innermost line of the file ``path`` in its traceback."""
    frames = [f for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path)]
    location = f" ({frames[-1].name}, {path.name} line {frames[-1].lineno})" if path and frames else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{location}"


def expect(condition: bool, message: str) -> None:
    """Raise :class:`CheckFailed` with the message unless the condition holds."""
    if not condition:
        raise CheckFailed(message)


def expect_none(problems: Iterator[str]) -> None:
    """Raise :class:`CheckFailed` with the first problem if there is one."""
    problem = next(problems, "")
    expect(not problem, problem)


def expect_equal(actual: Tensor, expected: Tensor, message: str, tolerance: float = TOLERANCE) -> None:
    """Raise :class:`CheckFailed` unless two tensors agree up to ``tolerance`` of the largest expected value."""
    expect(actual.shape == expected.shape, f"{message}: shape {list(actual.shape)}, not {list(expected.shape)}")
    difference = relative_difference(actual, expected)
    deviation = f"they differ by {difference:.1e} of the largest value ({tolerance:.0e} is allowed)"
    expect(difference <= tolerance, f"{message}; {deviation}")


def relative_difference(actual: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest expected value."""
    scale = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    return float((actual - expected).abs().max() / scale)
