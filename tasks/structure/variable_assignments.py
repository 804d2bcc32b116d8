"""Variable assignments: execute a program of assignments line by line.

Hsieh et al. 2024 ("RULER") trace a chain of variables through text, and each is assigned once. Here variables are
assigned again and again, and lines do arithmetic, so a model has to keep the current value of each. The layout is ours.
"""

from string import ascii_lowercase
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from tasks.base import IGNORE, Answer, Stream, Task
from tasks.prefix_scan import prefix_products
from tasks.validation import AtLeastTwo


class VariableAssignments(Task):
    """Write the final value of one variable, or the value that each line assigns.

    A line is ``x = y + d ;`` with uniform variables x and y and a uniform digit d. With probability ``constants`` it is
    ``x = _ + d ;``, which assigns d. All variables are 0 at the start, and sums are taken modulo ``modulus``. The
    length is the number of lines. The query is ``?`` and a variable, drawn uniformly from those that a line assigns.

    Where ``constants`` is 0, the chains of lines that a value depends on grow with the length. Else they are as long in
    long programs as in short ones.

    Args:
        variables: number of variables ``a``, ``b``, ...
        modulus: number of values.
        constants: probability of a line that assigns a constant.
        ask: ``last``, the value of the queried variable, or ``every``, the value of each line at its ``;`` (a trace).

    Examples:
        a = _ + 3 ; b = a + 4 ; ? b -> 2
        a = b + 1 ; ? a -> 1
        ask=every: c = _ + 4 ; c = c + 3 ; ? c -> . . . . . 4 . . . . . 2 . .
    """

    paper = "Hsieh et al. 2024 (arXiv 2404.06654), variable tracking, with reassignment and arithmetic"

    def __init__(
        self,
        *,
        variables: Annotated[int, Interval(ge=2, le=len(ascii_lowercase))] = 4,
        modulus: AtLeastTwo = 5,
        constants: Annotated[float, Interval(ge=0.0, le=1.0)] = 0.25,
        ask: Literal["last", "every"] = "last",
    ) -> None:
        self.variables, self.modulus, self.constants, self.every = variables, modulus, constants, ask == "every"
        self.answer: Answer = "tag" if self.every else "readout"
        self.symbols = (*map(str, range(modulus)), *ascii_lowercase[:variables], "_", "=", "+", ";", "?")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the lines, and ask for a variable that one of them assigns."""
        none, equals, plus, end, question = range(self.modulus + self.variables, len(self.symbols))
        left = self.modulus + stream.integers(self.variables, length)
        right = self.modulus + stream.integers(self.variables, length)
        right = right.masked_fill(stream.uniform(length) < self.constants, none)
        digit = stream.integers(self.modulus, length)
        marks = [torch.full_like(left, mark) for mark in (equals, plus, end)]
        lines = torch.stack((left, marks[0], right, marks[1], digit, marks[2]), dim=-1).flatten(1)
        assigned = F.one_hot(left - self.modulus, self.variables).any(1)
        asked = self.modulus + stream.uniform(self.variables).masked_fill(~assigned, -1).argmax(1, keepdim=True)
        return torch.cat((lines, torch.full_like(asked, question), asked), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Compose all lines: each is a map that gives every variable the place of a variable before it plus a digit.

        A map is the pair (origin, sum) for each variable, and for the constant 0, which has index ``variables``.
        """
        lines = source[:, :-2].unflatten(1, (-1, 6))
        left, right, digit = lines[..., 0] - self.modulus, lines[..., 2] - self.modulus, lines[..., 4]
        places = torch.arange(self.variables + 1, device=source.device)
        assigned = left[..., None] == places  # [B, lines, variables + 1]
        origin = torch.where(assigned, right[..., None], places)
        added = torch.where(assigned, digit[..., None], 0)
        values = prefix_products(self._compose, torch.stack((origin, added), dim=-1))[..., 1]
        if not self.every:
            return values[:, -1].gather(1, source[:, -1:] - self.modulus)
        trace = values.gather(2, left[..., None])
        return F.pad(F.pad(trace, (5, 0), value=IGNORE).flatten(1), (0, 2), value=IGNORE)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of lines since the variable that is asked for, or that a line reads, was assigned.

        A line that assigns a constant or reads a variable that no line has assigned depends on no event.
        """
        lines = source[:, :-2].unflatten(1, (-1, 6))
        left, right = lines[..., 0], lines[..., 2]
        if not self.every:
            return (left == source[:, -1:]).flip(1).byte().argmax(1, keepdim=True)
        index = torch.arange(left.shape[1], device=source.device)
        earlier = (left[:, None, :] == right[:, :, None]) & (index < index[:, None])  # [B, lines, earlier lines]
        last = torch.where(earlier, index, -1).amax(2)
        between = (index - last - 1).masked_fill(last < 0, IGNORE)
        return F.pad(F.pad(between[..., None], (5, 0), value=IGNORE).flatten(1), (0, 2), value=IGNORE)

    def _compose(self, earlier: Tensor, later: Tensor) -> Tensor:
        """Apply the earlier map, then the later one, ``[..., variables + 1, 2]`` each."""
        origin, added = later.unbind(-1)
        before, sums = (values.gather(-1, origin) for values in earlier.unbind(-1))
        return torch.stack((before, (sums + added) % self.modulus), dim=-1)
