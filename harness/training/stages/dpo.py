"""Direct preference optimization: of two answers the preferred one becomes more probable (Rafailov et al. 2023, eq. 7).

Both answers, or the worse one, are samples of the model as it is now. A pair of equally good answers teaches nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.config.stages import DPO, Part
from harness.data.presentation import Batch
from harness.data.rng import Stream
from harness.training.stages.answers import answer, as_batch, gumbel, right_before_error, token_log_probabilities
from harness.training.stages.base import Setting, StageTrainer
from harness.training.stages.reference import Reference


class DPOTrainer(StageTrainer[DPO]):
    """Pairs of answers to ``batch_size / 2`` questions in each step.

    Attributes:
        preference: float ``[R, B / 2]``: 1 if the first answer of a pair is preferred, -1 if the second is, else 0.
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
        keys, rows = self.setting.batches.keys, self.recipe.batch_size // 2
        stream = Stream.from_keys(keys, step, rows)
        truth = self.presentation(self.presentation.task.sample(length, stream))
        asked = truth.map(lambda x: x.repeat_interleave(2, dim=0))
        noise = gumbel(keys, step, 2 * rows, asked.target.shape[1], len(self.presentation.symbols))
        tokens = answer(self.population, asked, self.presentation.mode, noise)
        if self.stage.pairs == "truth":
            tokens[::2] = torch.where(truth.target < 0, tokens[::2], truth.target)
        scores = right_before_error(*self.presentation.grade(asked.source, asked.target, tokens))
        first, second = scores.view(len(keys), rows, 2).unbind(-1)
        self.preference = (first - second).sign().to(self.population.values)
        return as_batch(self.presentation, asked, tokens)

    def losses(self, batch: Batch) -> Tensor:
        """Return the mean loss of the pairs, float ``[R]``; a pair without a preference has none."""
        source, prefix, target = (None if x is None else x.unflatten(0, (self.population.size, -1)) for x in batch)
        assert source is not None
        assert target is not None
        now = token_log_probabilities(self.population.logits(source, prefix), target).sum(-1)
        before = self.reference.token_log_probabilities(batch).sum(-1)
        ratios = (now - before).unflatten(1, (-1, 2))
        losses = dpo_loss(self.stage.beta, self.preference * ratios[..., 0], self.preference * ratios[..., 1])
        return (losses * self.preference.abs()).mean(1)

    def state(self) -> dict[str, Tensor]:
        """Return the model at the beginning of the stage."""
        return self.reference.state()

    def load_state(self, state: dict[str, Tensor]) -> None:
        """Take over the model at the beginning of the stage."""
        self.reference.load_state(state)


def dpo_loss(beta: float, chosen: Tensor, rejected: Tensor) -> Tensor:
    """Return the loss of pairs from the log ratios of their answers, model to reference (equation 7)."""
    return -F.logsigmoid(beta * (chosen - rejected))
