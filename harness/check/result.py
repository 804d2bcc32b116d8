"""What a check says: all is well, or what is broken in plain words, or why it was not made."""

import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

TOLERANCE = 1e-9
"""Largest difference between two float64 forms of one function, relative to the largest value."""

Check = Callable[[Any], str | None]
"""Takes a subject, returns nothing or a remark. The first line of its docstring says what it makes sure of."""


class CheckFailed(Exception):
    """The contract is broken; the message says what was expected, what was seen and where to look."""


class Skip(Exception):
    """The check has no place here; the message says why."""


@dataclass(frozen=True)
class Result:
    """What came of one check.

    Args:
        name: of the check.
        sentence: what it makes sure of.
        ok: false where the contract is broken; ``problem`` then says how.
        skipped: why it was not made, or what was left out of it.
    """

    name: str
    sentence: str
    ok: bool
    problem: str = ""
    skipped: str = ""


def run_check(name: str, check: Check, subject: Any) -> Result:
    """Make one check, always with the same random numbers; whatever it raises becomes a result."""
    sentence = (check.__doc__ or name).strip().partition("\n")[0]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        try:
            return Result(name, sentence, True, skipped=check(subject) or "")
        except Skip as reason:
            return Result(name, sentence, True, skipped=str(reason))
        except CheckFailed as problem:
            return Result(name, sentence, False, str(problem))
        except Exception as error:
            return Result(name, sentence, False, f"raised {error_location(error, subject.entry.path)}")


def error_location(error: Exception, path: Path | None) -> str:
    """Return one line: the error, and the last place in the file ``path`` that it passed through."""
    passed = [f for f in traceback.extract_tb(error.__traceback__) if path and f.filename == str(path)]
    where = f" ({passed[-1].name}, {path.name} line {passed[-1].lineno})" if path and passed else ""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}{where}"


def expect(holds: bool, words: str) -> None:
    """Raise :class:`CheckFailed` unless something holds."""
    if not holds:
        raise CheckFailed(words)


def expect_equal(seen: Tensor, expected: Tensor, words: str, tolerance: float = TOLERANCE) -> None:
    """Raise :class:`CheckFailed` unless two tensors agree up to ``tolerance`` of the largest expected value."""
    expect(seen.shape == expected.shape, f"{words}: shape {list(seen.shape)}, not {list(expected.shape)}")
    difference = gap(seen, expected)
    far = f"they differ by {difference:.1e} of the largest value ({tolerance:.0e} is allowed)"
    expect(difference <= tolerance, f"{words}; {far}")


def gap(seen: Tensor, expected: Tensor) -> float:
    """Return the largest difference relative to the largest expected value."""
    scale = expected.abs().max().clamp(min=torch.finfo(expected.dtype).tiny)
    return float((seen - expected).abs().max() / scale)
