"""Direct preference optimization: of two answers the preferred one becomes more probable (Rafailov et al. 2023)."""

import torch
from torch import Tensor

from harness.config.stages import DPO, Part
from harness.data.presentation import Batch
from harness.training.stages.answers import by_model, token_log_probabilities
from harness.training.stages.base import StageTrainer
from harness.training.stages.pairs import draw_pairs, pair_losses
from harness.training.stages.reference import Reference
from harness.training.stages.setting import Setting


class DPOTrainer(StageTrainer[DPO]):
    """Pairs of answers to ``batch_size / 2`` questions in each step.

    Attributes:
        preference: of the last batch, float ``[R, B / 2]``; see :func:`draw_pairs`.
    """

    def __init__(self, setting: Setting, part: Part, stage: DPO) -> None:
        super().__init__(setting, part, stage)
        self.reference = Reference(self.population)
        self.preference = torch.zeros(0)

    def prepare(self, step: int) -> None:
        """Keep the model at the beginning of the stage."""
        if step == self.part.first:
            self.reference.keep()

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return the pairs, each in two rows, and note which answers are preferred."""
        batch, self.preference = draw_pairs(self.setting, self.setting.batches.keys, step, length, self.stage.pairs)
        return batch

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of the pairs, float ``[R]``; a pair without a preference has none."""
        source, prefix, target = by_model(batch, self.population.size)
        now = token_log_probabilities(self.population.logits(source, prefix), target).sum(-1)
        before = self.reference.token_log_probabilities(batch).sum(-1)
        return pair_losses(self.stage.beta * (now - before), self.preference).mean(1)

    def state(self) -> dict[str, Tensor]:
        """Return the model at the beginning of the stage."""
        return self.reference.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the model at the beginning of the stage."""
        self.reference.load_state(state)
