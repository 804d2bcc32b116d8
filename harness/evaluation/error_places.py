"""Where errors sit: grades and losses by position in the answer, and by the events since the one that is asked for.

A score says how often a model is wrong. These counts say where: after the longest position of training, at the end of
an answer, or once too much has happened since the event that has to be remembered (``Task.events_since``).

They are made in a pass of their own over the first questions of a test set. The code of the scores chooses learning
rates, so it is part of the fingerprint of the training, and a change of it would make all records stale.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.data.presentation import Presentation
from harness.evaluation.scoring import NO_ANSWER, choose, chunks, decode
from harness.models.population import Population
from tasks.base import IGNORE

MOST_BINS = 32
"""The most bins of positions. Longer answers have several positions in each bin."""

MOST_ROWS = 256
"""The most questions of a test set that errors are counted on."""

DIGITS = 5
"""Decimal places of a stored mean loss."""


class Bins(NamedTuple):
    """Counts of one model by bin: bin i holds the places from ``starts[i]`` up to the start of the next.

    ``n`` graded tokens, of which ``right`` are right; the mean ``loss`` of their targets; and the rows whose ``first``
    error is in this bin, which only positions have.
    """

    starts: list[int]
    n: list[int]
    right: list[int]
    loss: list[float]
    first: list[int]


class Grading(NamedTuple):
    """The grades of the answers of R models to B questions.

    ``source`` is long ``[B, S]``, ``right`` and ``counted`` are bool ``[R, B, T]``. ``losses`` is float ``[R, B, T]``,
    the cross entropy under teacher forcing, 0 where there is no target.
    """

    source: Tensor
    right: Tensor
    counted: Tensor
    losses: Tensor


@torch.no_grad()
def error_places(population: Population, presentation: Presentation, source: Tensor) -> "ErrorPlaces":
    """Count the errors of each model on the first :data:`MOST_ROWS` of the questions ``[B, S]``."""
    population.train(False)
    places = ErrorPlaces(presentation, population.size)
    for chunk in chunks(presentation, source[:MOST_ROWS]):
        places.add(grading(population, presentation, chunk))
    population.train(True)
    return places


def grading(population: Population, presentation: Presentation, source: Tensor) -> Grading:
    """Grade the answers of all models to questions ``[B, S]``, as ``scoring.score`` does."""
    batch = presentation(source)
    target = batch.target.expand(population.size, *batch.target.shape)
    inputs = (None if x is None else x.expand(population.size, *x.shape) for x in (batch.source, batch.prefix))
    logits = population.logits(*inputs)  # type: ignore[arg-type]
    losses = F.cross_entropy(logits.flatten(0, -2), target.flatten(), ignore_index=IGNORE, reduction="none")
    is_decoded = presentation.mode == "generate" and presentation.graded_by_task
    answers = decode(population, batch) if is_decoded else choose(logits)
    grades = [presentation.grade(source, batch.target, answer) for answer in answers.clamp(min=0).unbind(0)]
    correct, counted = (torch.stack(masks) for masks in zip(*grades, strict=True))
    return Grading(source, correct & counted & (answers != NO_ANSWER), counted, losses.view(target.shape))


class ErrorPlaces:
    """Adds up the grades of R models by position, and by events where the task defines them.

    Args:
        presentation: how the questions are asked; its task is on the device of the questions.
        models: R.
    """

    def __init__(self, presentation: Presentation, models: int) -> None:
        self.presentation, self.models = presentation, models
        self.positions: list[Tensor] = []
        self.events: list[Tensor] = []

    def add(self, grading: Grading) -> None:
        """Add the grades of some questions."""
        columns = torch.arange(grading.right.shape[-1], device=grading.right.device)[None]
        # A start token in front of labels has no label, so it may share the bin of the first position.
        starts = int(self.presentation.begin and self.presentation.mode == "tag")
        self.positions.append(_sums(grading, (columns - starts).clamp(min=0)))
        events = events_since(self.presentation, grading.source)
        if events is not None:
            self.events.append(_sums(grading, _power(events), defined=events >= 0))

    def by_position(self) -> Sequence[Bins | None]:
        """Return the counts of each model by position, from 1 on; None if answers have one position only."""
        sums = _total(self.positions)
        if sums.shape[-1] < 2:
            return [None] * self.models
        width = -(-sums.shape[-1] // MOST_BINS)
        padded = F.pad(sums, (0, -sums.shape[-1] % width)).unflatten(-1, (-1, width)).sum(-1)
        return _bins(padded, [1 + width * index for index in range(padded.shape[-1])])

    def by_events(self) -> Sequence[Bins | None]:
        """Return the counts of each model by 0, 1, 2 to 3, 4 to 7, ... events; None if the task defines none."""
        if not self.events:
            return [None] * self.models
        sums = _total(self.events)
        bins = _bins(sums, [0, *(1 << power for power in range(sums.shape[-1] - 1))])
        return [model._replace(first=[]) for model in bins]


def events_since(presentation: Presentation, source: Tensor) -> Tensor | None:
    """Return ``Task.events_since`` at the columns of the answer as it is asked, long ``[B, T]``."""
    events = presentation.task.events_since(source)
    if events is None:
        return None
    if presentation.last_label:
        return events[:, -1:]
    if presentation.mode == "generate":
        return F.pad(events, (0, 1), value=IGNORE)  # the end of an answer asks for no event
    starts = int(presentation.begin and presentation.mode == "tag")
    return F.pad(events, (starts, 0), value=IGNORE)


def _power(events: Tensor) -> Tensor:
    """Return the bin of each number of events: 0 for 0, else one more than the whole part of its binary logarithm."""
    return torch.frexp(events.clamp(min=0).double()).exponent.long()


def _sums(grading: Grading, bins: Tensor, defined: Tensor | None = None) -> Tensor:
    """Return (tokens, right, loss, first errors) of each model and bin, float64 ``[4, R, bins]``."""
    counted = grading.counted if defined is None else grading.counted & defined
    wrong = counted & ~grading.right
    first = wrong & (wrong.cumsum(-1) == 1)
    values = torch.stack((counted, counted & grading.right, grading.losses * counted, first)).double()
    sums = values.new_zeros(*values.shape[:2], int(bins.max()) + 1)
    index = bins.expand(values.shape[2:]).flatten()
    return sums.index_add(2, index, values.flatten(2)).cpu()


def _total(parts: list[Tensor]) -> Tensor:
    """Add up sums of the parts of a test set, of which some may have fewer bins."""
    bins = max(part.shape[-1] for part in parts)
    return torch.stack([F.pad(part, (0, bins - part.shape[-1])) for part in parts]).sum(0)


def _bins(sums: Tensor, starts: list[int]) -> list[Bins]:
    """Return the bins of each model from its sums ``[4, R, bins]``."""
    n, right, losses, first = sums
    means = (losses / n.clamp(min=1)).nan_to_num(nan=0.0, posinf=0.0)
    values = zip(n.long().tolist(), right.long().tolist(), means.tolist(), first.long().tolist(), strict=True)
    return [
        Bins(starts, of_n, of_right, [round(loss, DIGITS) for loss in of_loss], of_first)
        for of_n, of_right, of_loss, of_first in values
    ]
