"""Many stacks: push to and pop from several stacks, each named by a number.

Kimi Team 2025 ("Kimi Linear"), section 5.1, uses 64 stacks to test whether a state is updated selectively. One stack
needs a memory in which the last item is at hand; many stacks also need a look-up by name.
"""

from typing import Annotated

import torch
import torch.nn.functional as F
from annotated_types import Interval
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.validation import AtLeastTwo, Positive


class ManyStacks(Task):
    """Write at each pop the symbol that it takes from its stack.

    The length is the number of instructions of three tokens: ``push``, a stack and a symbol, or ``pop``, a stack and
    ``_``. The label stands at ``_``. The stack of an instruction is uniform, and an instruction on an empty stack is a
    push. The last instruction pops from a stack that is not empty; if all were, the one before it is a push.

    Args:
        stacks: number of stacks ``0``, ``1``, ...
        items: number of symbols ``a0``, ``a1``, ...
        push: probability of a push to a stack that is not empty.

    Examples:
        push 0 a3 pop 0 _ -> . . . . . a3
        push 1 a0 push 0 a2 push 1 a5 pop 1 _ pop 1 _ -> . . . . . . . . . . . a5 . . a0
    """

    answer = "tag"
    paper = "Kimi Team 2025 (arXiv 2510.26692), section 5.1, stacks"
    lengths = range(2, 1 << 24)

    def __init__(
        self,
        *,
        stacks: Positive = 4,
        items: AtLeastTwo = 8,
        push: Annotated[float, Interval(gt=0.0, lt=1.0)] = 0.5,
    ) -> None:
        self.stacks, self.items, self.push = stacks, items, push
        self.symbols = (*map(str, range(stacks)), *(f"a{i}" for i in range(items)), "push", "pop", "_")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a stack for each instruction, and pop where chance and the height of the stack allow it."""
        push, pop, blank = range(self.stacks + self.items, self.stacks + self.items + 3)
        stack = stream.integers(self.stacks, length)
        wants_push = stream.uniform(length) < self.push
        height = torch.zeros(len(stack), self.stacks, dtype=torch.long, device=stack.device)
        pops = torch.zeros_like(wants_push)
        for step in range(length - 1):
            own = F.one_hot(stack[:, step], self.stacks)
            pops[:, step] = ~wants_push[:, step] & ((height * own).sum(1) > 0)
            height = height + torch.where(pops[:, step : step + 1], -own, own)
        # If all stacks are empty before the last instruction, the one before it, a pop, becomes a push.
        empty = (height == 0).all(1, keepdim=True)
        pops[:, -2:-1] &= ~empty
        height = height + empty * F.one_hot(stack[:, -2], self.stacks) * 2
        pops[:, -1] = True
        stack[:, -1] = stream.uniform(self.stacks).masked_fill(height == 0, -1).argmax(1)
        item = torch.where(pops, blank, self.stacks + stream.integers(self.items, length))
        return torch.stack((torch.where(pops, pop, push), stack, item), dim=-1).flatten(1)

    def solve(self, source: Tensor) -> Tensor:
        """Match each pop with the last push to the same stack at the same height.

        Pushes to a height and pops from it alternate. In the order by stack, height and time, the match of a pop is
        therefore the instruction before it.
        """
        pops = source[:, ::3] == self.stacks + self.items + 1
        stack, item = source[:, 1::3], source[:, 2::3]
        height = torch.zeros_like(stack)
        for name in range(self.stacks):
            walk = torch.where(pops, -1, 1) * (stack == name)
            height = torch.where(stack == name, walk.cumsum(1) + pops.long(), height)  # after a push, before a pop
        order = (stack * (source.shape[1] + 1) + height).argsort(dim=1, stable=True)
        pushed = F.pad(item.gather(1, order)[:, :-1], (1, 0))
        matched = torch.zeros_like(item).scatter(1, order, pushed)
        label = matched.masked_fill(~pops, IGNORE)
        blank = torch.full_like(label, IGNORE)
        return torch.stack((blank, blank, label), dim=-1).flatten(1)

    def events_since(self, source: Tensor) -> Tensor:
        """Return the number of instructions between each pop and the push of its symbol."""
        instructions = torch.arange(source.shape[1] // 3, device=source.device).expand(len(source), -1)
        # A source whose pushes carry their own numbers as symbols is answered by these numbers.
        numbered = source.unflatten(1, (-1, 3)).clone()
        numbered[..., 2] = instructions
        pushed = self.solve(numbered.flatten(1))[:, 2::3]
        between = (instructions - pushed - 1).masked_fill(pushed == IGNORE, IGNORE)
        blank = torch.full_like(between, IGNORE)
        return torch.stack((blank, blank, between), dim=-1).flatten(1)
