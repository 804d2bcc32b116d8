"""Stack manipulation: write the content of a stack after a sequence of instructions.

Deletang et al. 2023 ("Neural Networks and the Chomsky Hierarchy"), stack manipulation, a deterministic context-free
task.
"""

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.end_token import END, append_end

POP = 2


class StackManipulation(Task):
    """Apply the instructions to the stack, then write it from the top down, followed by ``$``.

    The length is that of the source: the stack from the bottom up, of uniform size from 1 to ``length - 1``, and then
    the instructions, all three equally likely. Popping an empty stack does nothing.

    Examples:
        0 1 1 0 push1 pop pop -> 1 1 0 $ . . . .
        1 1 0 pop pop pop pop -> $ . . . . . . .
        1 pop pop push0 push1 -> 1 0 $ . . .
        0 push1 -> 1 0 $
    """

    symbols = ("0", "1", "pop", "push0", "push1", END)
    answer = "readout"
    lengths = range(2, 1 << 24)
    paper = "Deletang et al. 2023 (arXiv 2207.02098), table 2"

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw the size of the stack, its bits and the instructions."""
        size = 1 + stream.integers(length - 1, 1)
        stack, instructions = stream.integers(2, length), POP + stream.integers(3, length)
        return torch.where(torch.arange(length, device=stream.device) < size, stack, instructions)

    def solve(self, source: Tensor) -> Tensor:
        """Track the height of the stack: a pushed bit remains if the height never falls below it again.

        The height is a walk reflected at zero, which is the walk minus its lowest point so far (Lindley 1952).
        """
        walk = torch.where(source == POP, -1, 1).cumsum(1)
        height = walk - walk.cummin(1).values.clamp(max=0)
        lowest_ahead = height.flip(1).cummin(1).values.flip(1)
        remains = (source != POP) & (height <= lowest_ahead)
        length = source.shape[1]
        from_top = torch.where(remains, height[:, -1:] - height, length)
        answer = source.new_zeros(len(source), length + 1).scatter(1, from_top, self._bit(source))
        return append_end(answer, height[:, -1:], self.symbols.index(END))

    @staticmethod
    def _bit(token: Tensor) -> Tensor:
        """Return the bit that a token pushes onto the stack."""
        return torch.where(token > POP, token - POP - 1, token)
