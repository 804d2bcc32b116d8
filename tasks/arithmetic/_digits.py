"""Numbers of many digits: batched sums, differences and products, and the notation of operands and answers.

A number is long ``[B, N]`` with the least significant digit, the units, first. A :class:`Notation` writes it in either
order, optionally with index hints (Zhou et al. 2023): before every digit, a symbol that stands for its place value, the
same in all numbers of a source and its answer.
"""

from dataclasses import dataclass
from string import ascii_lowercase, digits
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from tasks.base import Stream

DIGITS = digits + ascii_lowercase

Order = Literal["forward", "reversed", "reversed_answer"]
"""The order in which the digits of operands and answer are written."""
Base = Annotated[int, Interval(ge=2, le=len(DIGITS))]


def add(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Add numbers of equally many digits, modulo ``base ** N``.

    A place whose digits sum to ``base - 1`` passes on the carry that it gets. The carry out of any other place does not
    depend on the carry into it.
    """
    total = a + b
    return torch.remainder(total + _carries(total >= base, total == base - 1), base)


def subtract(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Subtract numbers of equally many digits, modulo ``base ** N``; equal digits pass on the borrow they get."""
    difference = a - b
    return torch.remainder(difference - _carries(difference < 0, difference == 0), base)


def multiply(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Multiply numbers ``[B, N]`` and ``[B, M]``; the product is ``[B, N + M]``."""
    size, largest = a.shape[1] + b.shape[1], min(a.shape[1], b.shape[1]) * (base - 1) ** 2
    return carry_columns(convolve(a, b, size), base, largest)


def convolve(a: Tensor, b: Tensor, size: int) -> Tensor:
    """Return the column sums of long multiplication, ``[B, size]``; rounding in double precision makes them exact."""
    product = torch.fft.rfft(a.double(), n=size) * torch.fft.rfft(b.double(), n=size)
    return torch.fft.irfft(product, n=size).round().long()


def carry_columns(columns: Tensor, base: int, largest: int) -> Tensor:
    """Carry until every column ``[B, N]`` is a digit; no column may be above ``largest``.

    Each round carries all but the lowest digit of every column, which divides the carries by the base. Once every carry
    is at most one digit, the rest is a sum of two numbers.
    """
    while largest >= base**2:
        columns = columns % base + _shift_up(columns // base)
        largest = base - 1 + largest // base
    return add(columns % base, _shift_up(columns // base), base)


def _carries(generates: Tensor, propagates: Tensor) -> Tensor:
    """Return the carry into each place, ``[B, N]``, by carry look-ahead.

    It is the carry out of the last lower place that does not propagate the carry into it.
    """
    place = torch.arange(generates.shape[1], device=generates.device)
    decided = torch.where(propagates, -2, 2 * place + generates)  # place and carry in one number
    return _shift_up(decided.cummax(dim=1).values & 1)


def _shift_up(columns: Tensor) -> Tensor:
    """Shift values by one place, so that each place gets that of the next lower one."""
    return F.pad(columns[:, :-1], (1, 0))


@dataclass(frozen=True)
class Notation:
    """The way in which operands and answers are written.

    Token ids are first those of the digits, then that of the sign, then those of the hints.

    Args:
        sign: symbol between the operands.
        base: 2 to 36.
        order: ``forward`` writes the units last, ``reversed`` first; ``reversed_answer`` only in the answer.
        hints: number of hint symbols; 0 for no hints.
    """

    sign: str
    base: int
    order: Order
    hints: int = 0

    @property
    def symbols(self) -> tuple[str, ...]:
        """Symbols of the digits, the sign and the hints."""
        return (*DIGITS[: self.base], self.sign, *(f"#{hint}" for hint in range(self.hints)))

    @property
    def forward_operands(self) -> bool:
        """Whether the units of an operand come last."""
        return self.order != "reversed"

    @property
    def width(self) -> int:
        """Number of tokens per digit."""
        return 2 if self.hints else 1

    def draw_hint(self, places: int, stream: Stream) -> Tensor | None:
        """Draw the hint of the units, long ``[B, 1]``, so that ``places`` consecutive hints fit; None without hints."""
        if not self.hints:
            return None
        first = self.base + 1 + stream.integers(self.hints - places + 1, 1)
        return first + places - 1 if self.forward_operands else first

    def write_source(self, a: Tensor, b: Tensor, units: Tensor | None = None) -> Tensor:
        """Write ``a``, the sign and ``b``; ``units`` is the hint of the units."""
        sign = torch.full_like(a[:, :1], self.base)
        operands = (self._write(number, units, self.forward_operands) for number in (a, b))
        return torch.cat((next(operands), sign, next(operands)), dim=1)

    def read_operands(self, source: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both operands of a source, the first of ``size`` digits, and the hint of the units, ``[B, 1]``."""
        a, units = self._read(source[:, : size * self.width])
        b, _ = self._read(source[:, size * self.width + 1 :])
        return a, b, units

    def write_answer(self, number: Tensor, units: Tensor | None = None) -> Tensor:
        """Turn digits ``[B, N]`` into tokens ``[B, N]`` or, with the hint of the units ``[B, 1]``, ``[B, 2N]``."""
        return self._write(number, units, self.order == "forward")

    def _write(self, number: Tensor, units: Tensor | None, forward: bool) -> Tensor:
        tokens = number[..., None]
        if units is not None:
            tokens = torch.stack((self.hints_of(number, units), number), dim=-1)  # [B, N, 2]
        return (tokens.flip(1) if forward else tokens).flatten(1)

    def hints_of(self, number: Tensor, units: Tensor) -> Tensor:
        """Return the hint of every digit, ``[B, N]``."""
        place = torch.arange(number.shape[1], device=number.device)
        return units - place if self.forward_operands else units + place

    def _read(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        """Return the digits of a number, units first, and the hint of the units."""
        digit = tokens.unflatten(1, (-1, self.width))  # [B, N, 1 or 2]
        digit = digit.flip(1) if self.forward_operands else digit
        return digit[..., -1], digit[:, :1, 0] if self.hints else None
