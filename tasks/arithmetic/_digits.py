"""Numbers of many digits: sums, differences and products of all of a batch at once, and how a question writes them.

A number is long ``[B, N]`` with the units first. A :class:`Notation` writes it in either order, with index hints if
asked (Zhou et al. 2023): before every digit a symbol that stands for its place, the same in all numbers of a question.
"""

from dataclasses import dataclass
from string import ascii_lowercase, digits

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import Stream
from tasks.limits import one_of, within

DIGITS = digits + ascii_lowercase


def add(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Add numbers of equally many digits, modulo ``base ** N``.

    A place whose digits sum to ``base - 1`` hands on the carry it gets; any other decides by itself.
    """
    total = a + b
    return torch.remainder(total + _look_ahead(total >= base, total == base - 1), base)


def subtract(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Subtract numbers of equally many digits, modulo ``base ** N``; equal digits hand on the borrow they get."""
    difference = a - b
    return torch.remainder(difference - _look_ahead(difference < 0, difference == 0), base)


def multiply(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Multiply numbers ``[B, N]`` and ``[B, M]``; ``[B, N + M]``."""
    size, largest = a.shape[1] + b.shape[1], min(a.shape[1], b.shape[1]) * (base - 1) ** 2
    return normalized(convolve(a, b, size), base, largest)


def convolve(a: Tensor, b: Tensor, size: int) -> Tensor:
    """Return the columns of the written product, ``[B, size]``: exact, as double precision rounds to it."""
    product = torch.fft.rfft(a.double(), n=size) * torch.fft.rfft(b.double(), n=size)
    return torch.fft.irfft(product, n=size).round().long()


def normalized(columns: Tensor, base: int, largest: int) -> Tensor:
    """Carry, until every column ``[B, N]`` is a digit; none may be above ``largest``.

    To hand on all but the lowest digit of every column at once divides them by the base. Where they hand on one digit
    at most, what is left is a sum of two numbers.
    """
    while largest >= base**2:
        columns = columns % base + _handed_on(columns // base)
        largest = base - 1 + largest // base
    return add(columns % base, _handed_on(columns // base), base)


def _look_ahead(one: Tensor, open_: Tensor) -> Tensor:
    """Return the carry that each place gets, ``[B, N]``, from where one is made and where it is handed on.

    The last place before it that is not ``open_``, and so decides by itself, rules.
    """
    place = torch.arange(one.shape[1], device=one.device)
    decided = torch.where(open_, -2, 2 * place + one)  # place and carry in one number
    return _handed_on(decided.cummax(dim=1).values & 1)


def _handed_on(columns: Tensor) -> Tensor:
    """Return what each column gets from the one below."""
    return F.pad(columns[:, :-1], (1, 0))


@dataclass(frozen=True)
class Notation:
    """How the numbers of a question are written.

    Token ids are first those of the digits, then that of the sign, then those of the hints.

    Args:
        sign: symbol between the operands.
        base: 2 to 36.
        order: ``forward`` writes the units last, ``reversed`` first.
        hints: number of hint symbols; 0 for none.
    """

    sign: str
    base: int
    order: str
    hints: int = 0

    def __post_init__(self) -> None:
        within("base", self.base, 2, len(DIGITS))
        one_of("order", self.order, ("forward", "reversed"))

    @property
    def symbols(self) -> tuple[str, ...]:
        """Digits, sign and hints."""
        return (*DIGITS[: self.base], self.sign, *(f"#{hint}" for hint in range(self.hints)))

    @property
    def forward(self) -> bool:
        """Whether the units come last."""
        return self.order == "forward"

    @property
    def width(self) -> int:
        """Tokens of a digit."""
        return 2 if self.hints else 1

    def draw_hint(self, places: int, stream: Stream) -> Tensor | None:
        """Draw the hint of the units, long ``[B, 1]``, so that ``places`` hints in reading order fit; None without."""
        if not self.hints:
            return None
        first = self.base + 1 + stream.integers(self.hints - places + 1, 1)
        return first + places - 1 if self.forward else first

    def question(self, a: Tensor, b: Tensor, units: Tensor | None = None) -> Tensor:
        """Write ``a``, the sign, and ``b``; ``units`` is the units' hint."""
        sign = torch.full_like(a[:, :1], self.base)
        return torch.cat((self.write(a, units), sign, self.write(b, units)), dim=1)

    def operands(self, source: Tensor, size: int) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both numbers of a question, of which the first has ``size`` digits, and the units' hint ``[B, 1]``."""
        a, units = self._read(source[:, : size * self.width])
        b, _ = self._read(source[:, size * self.width + 1 :])
        return a, b, units

    def write(self, number: Tensor, units: Tensor | None = None) -> Tensor:
        """Turn digits ``[B, N]`` into tokens ``[B, N]`` or, with the units' hint ``[B, 1]``, ``[B, 2N]``."""
        tokens = number[..., None]
        if units is not None:
            tokens = torch.stack((self.places(number, units), number), dim=-1)  # [B, N, 2]
        return (tokens.flip(1) if self.forward else tokens).flatten(1)

    def places(self, number: Tensor, units: Tensor) -> Tensor:
        """Return the hint of every place, ``[B, N]``."""
        place = torch.arange(number.shape[1], device=number.device)
        return units - place if self.forward else units + place

    def _read(self, tokens: Tensor) -> tuple[Tensor, Tensor | None]:
        digit = tokens.unflatten(1, (-1, self.width))  # [B, N, 1 or 2]
        digit = digit.flip(1) if self.forward else digit
        return digit[..., -1], digit[:, :1, 0] if self.hints else None
