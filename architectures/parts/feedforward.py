"""The position-wise feed-forward network: two linear maps with a nonlinearity between them.

``relu`` is from Vaswani et al. 2017 (section 3.3), ``gelu`` is common since GPT, and ``swiglu`` is from Shazeer 2020
("GLU Variants Improve Transformer"). The inner width of ``swiglu`` is two thirds of the others', so that all have the
same number of parameters.
"""

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor, nn

ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"gelu": F.gelu, "relu": F.relu, "swiglu": F.silu}


class FeedForward(nn.Module):
    """Map ``[..., D]`` to ``[..., D]`` through ``expand * D`` inner channels."""

    def __init__(self, width: int, kind: Literal["gelu", "relu", "swiglu"] = "gelu", expand: float = 4.0) -> None:
        super().__init__()
        self.gated = kind == "swiglu"
        inner = round(expand * width * (2 / 3 if self.gated else 1))
        self.up = nn.Linear(width, inner * (2 if self.gated else 1))
        self.down = nn.Linear(inner, width)
        self.activation = ACTIVATIONS[kind]

    def forward(self, x: Tensor) -> Tensor:
        """Apply the network at every position independently."""
        if self.gated:
            gate, value = self.up(x).chunk(2, dim=-1)
            return self.down(self.activation(gate) * value)
        return self.down(self.activation(self.up(x)))
