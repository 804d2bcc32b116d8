"""Parameters that a stage trains beside those of the models: reward models, value functions and low-rank updates."""

from typing import ClassVar

import torch
from torch import Tensor

from harness.training.optimizer import AdamW
from harness.training.stages.setting import Setting


class ExtraRows:
    """Parameters with an AdamW of their own, one row for each model.

    Args:
        setting: the models and their task; learning rates and clipping are those of the cells.
        values: initial values, float ``[R, Q]``; copied.
    """

    OPTIMIZER: ClassVar[str] = "optimizer "

    def __init__(self, setting: Setting, values: Tensor) -> None:
        self.values = values.detach().clone().requires_grad_()
        self.grads = torch.zeros_like(values)
        rates = torch.tensor([cell.learning_rate for cell in setting.group.cells])
        self.optimizer = AdamW(self.values, self.grads, rates, clip=setting.recipe.clip)

    def state(self) -> dict[str, Tensor]:
        """Return the parameters and the state of the optimizer for a snapshot."""
        return {"values": self.values.detach(), **{self.OPTIMIZER + k: x for k, x in self.optimizer.rows().items()}}

    @torch.no_grad()
    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over what :meth:`state` returned."""
        self.values.copy_(state["values"])
        for name, row in self.optimizer.rows().items():
            row.copy_(state[self.OPTIMIZER + name])
