"""Masked language modelling of questions (Devlin et al. 2019, section 3.1): some tokens are hidden and predicted.

The model reads the question alone, with one output for each of its positions. In a causal model an output depends on
the tokens before it only.
"""

import torch
from torch import Tensor

from harness.config.stages import Masked, Part
from harness.data.batches import Batches
from harness.data.presentation import Batch
from harness.data.rng import Stream, fold_in, text_key
from harness.registry.options import Spec
from harness.training.stages.base import StageTrainer
from harness.training.stages.setting import Setting
from harness.training.stages.supervised import other_presentation
from tasks.base import IGNORE

MASKS = text_key("masked tokens")
BLANK, RANDOM = 0.8, 0.1
"""Shares of the hidden tokens that are replaced by ``<blank>`` and by a random token; others stay."""


class MaskedTrainer(StageTrainer[Masked]):
    """Questions in which some tokens are hidden."""

    def __init__(self, setting: Setting, part: Part, stage: Masked) -> None:
        super().__init__(setting, part, stage)
        self.batches, self.source = setting.batches, torch.zeros(0)
        if stage.task:
            spec = Spec.parse("task", stage.task, setting.group.first.task.catalog)
            asked = other_presentation(setting.presentation, spec).on(setting.device)
            self.batches = Batches(asked, str(spec), setting.recipe, setting.seeds, setting.device)

    def length(self, step: int) -> int:
        """Return the length of the questions of a step."""
        return self.batches.lengths[step]

    def draw(self, step: int | Tensor, length: int) -> Batch:
        """Return questions with hidden tokens, which are the targets."""
        source = self.batches.draw(step, length).source
        rows = Stream.from_keys(fold_in(self.batches.keys, MASKS), step, self.recipe.batch_size)
        symbols = len(self.presentation.task.symbols)
        self.source = source
        return mask(source, rows, self.stage.masked, self.presentation.special("<blank>"), symbols)

    def questions(self, batch: Batch) -> Tensor:
        """Return the questions of a batch without masks, long ``[R * B, S]``."""
        return self.source


def mask(source: Tensor, stream: Stream, share: float, blank: int, symbols: int) -> Batch:
    """Return the batch that asks for a share of the tokens of ``source`` ``[B, S]``.

    Args:
        stream: random numbers, one stream for each row.
        share: of the tokens that are asked for.
        blank: the id that replaces most of them.
        symbols: random tokens are below this number.
    """
    hidden, fate = stream.uniform(source.shape[1]) < share, stream.uniform(source.shape[1])
    others = stream.integers(symbols, source.shape[1])
    replaced = torch.where(fate < BLANK, torch.full_like(source, blank), source)
    replaced = torch.where((fate >= BLANK) & (fate < BLANK + RANDOM), others, replaced)
    return Batch(torch.where(hidden, replaced, source), None, source.masked_fill(~hidden, IGNORE))
