"""Addition: digit by digit, with a carry that may run the whole length.

Written forward the first answer digit may depend on every carry; reversed, each digit needs one carry only. Index hints
(Zhou et al. 2023, "What Algorithms can Transformers Learn?") mark the digits of one place with one symbol, so that a
model finds them by matching and not by counting; padding with a zero makes room for the last carry.
"""

from string import ascii_lowercase, digits
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import Stream, Task
from tasks.limits import one_of, within

DIGITS = digits + ascii_lowercase


def add(a: Tensor, b: Tensor, base: int) -> Tensor:
    """Add numbers of equally many digits, long ``[B, N]`` with the units first, modulo ``base ** N``.

    Carry look-ahead: a place whose digits sum to ``base - 1`` hands on the carry it gets; any other decides by itself,
    and the last that decides before a place rules there.
    """
    total = a + b
    place = torch.arange(total.shape[1], device=total.device)
    decided = torch.where(total == base - 1, -2, 2 * place + (total >= base))  # place and carry in one number
    carry = decided.cummax(dim=1).values & 1
    return torch.remainder(total + F.pad(carry[:, :-1], (1, 0)), base)


class Addition(Task):
    """Add two numbers of equally many digits.

    The length is that of the operands. Their digits are uniform, leading zeros included. The answer always has
    ``length + max(padding, 1)`` digits, with leading zeros where there is no carry, so that a batch has one shape.

    Args:
        base: 2 to 36; digits are ``0`` to ``9``, then ``a`` to ``z``.
        order: ``forward`` writes the units last, ``reversed`` first, in operands and answer alike.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. Before every digit stands the hint of its place;
            in reading order the places have consecutive hints, from a random one on. Limits the length.
        padding: zeros put before each operand (on its most significant side).

    Examples:
        5 4 + 3 7 -> 0 9 1
        9 9 + 0 1 -> 1 0 0
        base=2: 1 0 + 1 1 -> 1 0 1
        base=16: f + f -> 1 e
        order=reversed: 4 5 + 7 3 -> 1 9 0
        padding=1: 0 5 4 + 0 3 7 -> 0 9 1
        padding=2,order=reversed: 9 0 0 + 1 0 0 -> 0 1 0
        hints=5: #2 5 #3 4 + #2 3 #3 7 -> #1 0 #2 9 #3 1
        hints=5,order=reversed: #2 4 #3 5 + #2 7 #3 3 -> #2 1 #3 9 #4 0
        hints=5,padding=1: #0 0 #1 5 + #0 0 #1 7 -> #0 1 #1 2
    """

    answer = "generate"
    paper = "Zhou et al. 2023 (arXiv 2310.16028), addition with index hints and reversed order"

    def __init__(
        self, *, base: int = 10, order: Literal["forward", "reversed"] = "forward", hints: int = 0, padding: int = 0
    ) -> None:
        within("base", base, 2, len(DIGITS))
        one_of("order", order, ("forward", "reversed"))
        within("padding", padding, 0)
        self.base, self.forward, self.hints, self.padding = base, order == "forward", hints, padding
        self.room = max(padding, 1)
        if hints:
            within("hints", hints, self.room + 1)
            self.lengths = range(1, hints - self.room + 1)
        self.symbols = (*DIGITS[:base], "+", *(f"#{hint}" for hint in range(hints)))

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform digits and, with hints, the window they come from."""
        operands = F.pad(stream.integers(self.base, 2, length), (0, self.padding))  # [B, 2, N], units first
        units = self._units(length + self.room, stream) if self.hints else None
        a, b = (self._write(operand, units) for operand in operands.unbind(1))
        return torch.cat((a, torch.full_like(a[:, :1], self.base), b), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Add and write the answer with the hints of the question."""
        a, b, units = self._read(source)
        carry = (0, 0 if self.padding else 1)
        return self._write(add(F.pad(a, carry), F.pad(b, carry), self.base), units)

    def _units(self, places: int, stream: Stream) -> Tensor:
        """Draw the hint of the units, long ``[B, 1]``, so that ``places`` hints in reading order fit."""
        first = self.base + 1 + stream.integers(self.hints - places + 1, 1)
        return first + places - 1 if self.forward else first

    def _write(self, number: Tensor, units: Tensor | None) -> Tensor:
        """Turn digits ``[B, N]``, units first, into tokens ``[B, N]`` or ``[B, 2N]``; ``units`` is the units' hint."""
        tokens = number[..., None]
        if units is not None:
            place = torch.arange(number.shape[1], device=number.device)
            hint = units - place if self.forward else units + place
            tokens = torch.stack((hint, number), dim=-1)  # [B, N, 2]
        return (tokens.flip(1) if self.forward else tokens).flatten(1)

    def _read(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Return both operands ``[B, N]``, units first, and the units' hint ``[B, 1]``."""
        size = source.shape[1] // 2
        operands = torch.stack((source[:, :size], source[:, -size:]), dim=1)
        operands = operands.unflatten(2, (-1, 2 if self.hints else 1))  # [B, 2, N, 2 or 1]
        operands = operands.flip(2) if self.forward else operands
        a, b = operands[..., -1].unbind(1)
        return a, b, operands[:, 0, :1, 0] if self.hints else None
