"""The text of plug-ins that several tests write into a file: a task and a mixer that is not causal."""

TASK = '''"""Copy the source."""
import torch
from tasks.base import IGNORE, Task

class Copy(Task):
    """Repeat the source.

    Examples:
        a b -> a b
    """

    symbols = ("a", "b", "c")
    answer = "generate"

    def sample(self, length, stream):
        return stream.integers(3, length)

    def solve(self, source):
        return source.clone()
'''

MIXER = '''"""A mean over all positions."""
from torch import nn
from architectures.base import Mixer

class Mean(Mixer):
    """Adds the mean of all positions, later ones included."""

    causal = False

    def __init__(self, width: int) -> None:
        super().__init__()
        self.out = nn.Linear(width, width)

    def forward(self, x, context):
        return self.out(x + x.mean(1, keepdim=True))
'''
