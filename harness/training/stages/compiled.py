"""Weights that are compiled from the task's RASP-L program; nothing is learned.

It is the first stage of a pipeline. Later stages show what training does to weights that are right at every length.
"""

import torch
from torch import Tensor

from architectures.language_model import LanguageModel
from harness.compiler import write_compiled
from harness.config.stages import Compiled, Part
from harness.registry.options import build_model
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting


class CompiledTrainer(StageTrainer[Compiled]):
    """Writes the weights before the first step. Losses are computed and no parameter changes."""

    def __init__(self, setting: Setting, part: Part, stage: Compiled) -> None:
        super().__init__(setting, part, stage)
        self.mask = torch.zeros_like(self.population.values[0].detach())

    def prepare(self, step: int) -> None:
        """Replace the initial weights of all models by the compiled ones."""
        if step == self.part.first:
            with torch.no_grad():
                self.population.values.copy_(self._compiled_row())

    def _compiled_row(self) -> Tensor:
        model: LanguageModel = build_model(self.setting.group.first.architecture, self.presentation.symbols)
        write_compiled(model, self.presentation.on(torch.device("cpu")))
        return self.population.layout.pack(dict(model.named_parameters())).to(self.population.values)

    def rate_factors(self) -> list[float]:
        """Return a learning rate of 0 for each step."""
        return [0.0] * self.part.steps
