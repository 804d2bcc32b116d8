"""Evaluation from a carried state: a model reads unrelated text before the question.

In training each question starts from an empty state. Here a model first reads N tokens of other questions of the same
task, of the longest training length and with their answers, and keeps its state. A model whose state forgets answers
as before; one that works only from an empty state does not. (Ruiz & Gu 2025, arXiv 2507.02782, explain failures on
longer inputs by states that training never reaches.)

A causal model that reads the text and the question as one input computes what it would compute from the carried state,
because its parallel form equals its steps. So nothing but the input changes.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from architectures.base import SequenceModel
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Stream
from harness.evaluation.scoring import EVALUATION_SET
from tasks.base import IGNORE

PURPOSE = "carried"
"""Names the random stream of the text before the questions."""


def can_carry(model: SequenceModel) -> bool:
    """Whether a model has a state that it can keep from earlier text: it reads a source token by token."""
    return model.can_step and model.online


@dataclass(frozen=True)
class CarriedPresentation(Presentation):
    """Asks questions behind ``carried`` tokens of text.

    A source here is the text and the question, long ``[B, carried + S]``. Only the question is asked and graded.
    """

    carried: int = 0

    @classmethod
    def behind(cls, presentation: Presentation, carried: int) -> "CarriedPresentation":
        """Return a presentation that asks the same questions behind text."""
        return cls(presentation.task, presentation.answer, presentation.think, presentation.begin, carried)

    def __call__(self, source: Tensor) -> Batch:
        """Return the batch of the questions, with the text in front of their sources."""
        batch = super().__call__(source[:, self.carried :])
        target = self._pad(batch.target, IGNORE) if self.mode == "tag" else batch.target
        return Batch(torch.cat((source[:, : self.carried], batch.source), dim=1), batch.prefix, target)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens of a prediction are correct and which are counted; none of the text is."""
        question = source[:, self.carried :]
        if self.mode != "tag":
            return super().grade(question, target, prediction)
        masks = super().grade(question, target[:, self.carried :], prediction[:, self.carried :])
        correct, counted = (self._pad(mask, False) for mask in masks)
        return correct, counted

    def _pad(self, labels: Tensor, value: int) -> Tensor:
        """Put ``carried`` columns without a label in front."""
        return F.pad(labels, (self.carried, 0), value=value)


def with_text(presentation: Presentation, key: str, questions: Tensor, carried: int, length: int) -> Tensor:
    """Put ``carried`` tokens of other questions of a length in front of questions ``[B, S]``, other ones in each row.

    The text ends with the last token of an answer. Where it is no whole number of questions, its first one is cut.
    """
    tokens = presentation.stream_length(length)
    count = -(-carried // tokens)
    stream = Stream.of([EVALUATION_SET], key, PURPOSE, length, len(questions) * count, questions.device)
    batch = presentation(presentation.task.sample(length, stream))
    text = batch.source if batch.prefix is None else torch.cat((batch.source, batch.prefix), dim=1)
    text = text.reshape(len(questions), count * tokens)
    return torch.cat((text[:, count * tokens - carried :], questions), dim=1)
