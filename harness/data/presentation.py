"""Presentation: turns a question and its answer into the source, prefix and target of a model.

========  =======================================  ==========================  =========================
mode      the model sees                           the target is               fed back in decoding
========  =======================================  ==========================  =========================
generate  source, START, answer so far             answer, END                 the model's own tokens
readout   source, blanks                           answer                      nothing
tag       source                                   a label at each position    nothing
========  =======================================  ==========================  =========================

``think=k`` appends ``k`` computation tokens for each source token (Deletang et al. 2023, section 4).

``begin`` puts START before the source. Softmax attention over equal tokens gives the same result for any number of
them, so without a token that differs no transformer can tell ``((`` from ``(((``. Proofs about what transformers count,
such as those of C-RASP (Huang et al. 2025), assume a start token.

Special symbols follow the task's symbols in a model's alphabet. Only this module writes them into batches.
Architectures do not depend on them, except that encoder-decoders look up ``<blank>`` to decode without a prefix.
"""

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from harness.config.recipe import Recipe
from harness.data.rng import Purpose, Stream
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Answer, Task

SPECIALS = ("<start>", "<end>", "<blank>", "<think>")
"""Start of an answer, end of an answer, empty prefix token of a readout, and computation token."""

CONVERSIONS = {("generate", "readout"), ("readout", "generate"), ("tag", "readout")}
"""Pairs of a task's own mode and another mode in which it can be asked."""

PROBE_LENGTHS, PROBE_ROWS = 9, 16
"""Whether a task has a target at its last position is tested on 16 rows of its ninth length, or its last if fewer."""


class Batch(NamedTuple):
    """The input and the expected output of a model: source ``[B, S]``, prefix ``[B, T]`` or None, target ``[B, T]``."""

    source: Tensor
    prefix: Tensor | None
    target: Tensor

    @property
    def stream_length(self) -> int:
        """The number of tokens of a row, source and prefix together."""
        return self.source.shape[1] + (0 if self.prefix is None else self.prefix.shape[1])

    def map(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """Return the batch with each of its tensors changed."""
        return Batch(change(self.source), None if self.prefix is None else change(self.prefix), change(self.target))


class NotApplicable(ValueError):
    """The task cannot be asked in this mode."""


@dataclass(frozen=True)
class Presentation:
    """The mode in which one task is asked, and the batches that follow from it.

    Args:
        task: the task.
        answer: the mode; ``None`` takes the task's own mode. A generate task can be asked as readout and a readout task
            as generate. A tag task can be asked as readout, for its last label, if it has a target at that position.
        think: computation tokens for each source token.
        begin: put START before the source.

    Raises:
        NotApplicable: the task cannot be asked in this mode.
    """

    task: Task
    answer: Answer | None = None
    think: int = 0
    begin: bool = False

    @classmethod
    def of(cls, task: Spec, recipe: Recipe) -> "Presentation":
        """Return the presentation of a task under a recipe; raise :class:`NotApplicable` if there is none."""
        return cls(build_task(task), recipe.answer, recipe.think, recipe.begin)

    def __post_init__(self) -> None:
        task_mode, mode = self.task.answer, self.mode
        if task_mode != mode and (task_mode, mode) not in CONVERSIONS:
            raise NotApplicable(f"a {task_mode} task cannot be asked as {mode}")
        if self.last_label and not self._has_last_target():
            raise NotApplicable("readout asks for the last label, and this task has no label at its last position")
        if self.mode == "tag" and self.think:
            raise NotApplicable("think needs an answer after the source, which tag does not have; ask as readout")

    @property
    def mode(self) -> Answer:
        """The mode in which the task is asked: generate, readout or tag."""
        return self.answer or self.task.answer

    @property
    def symbols(self) -> tuple[str, ...]:
        """The alphabet of a model: the task's symbols, then the special symbols."""
        return (*self.task.symbols, *SPECIALS)

    def special(self, name: str) -> int:
        """Return the token id of a special symbol."""
        return len(self.task.symbols) + SPECIALS.index(name)

    def __call__(self, source: Tensor) -> Batch:
        """Return the batch of questions ``[B, S]`` with the answers that the task gives."""
        return self.with_answer(source, self.task.solve(source))

    def with_answer(self, source: Tensor, answer: Tensor) -> Batch:
        """Return the batch of questions ``[B, S]`` with these answers ``[B, T]``."""
        batch = self._without_begin(source, answer)
        return self._append_to_start(batch) if self.begin else batch

    def _append_to_start(self, batch: Batch) -> Batch:
        """Put START before the source. Where each position is labelled, it has no label."""
        start = torch.full_like(batch.source[:, :1], self.special("<start>"))
        target = F.pad(batch.target, (1, 0), value=IGNORE) if self.mode == "tag" else batch.target
        return Batch(torch.cat((start, batch.source), dim=1), batch.prefix, target)

    def _without_begin(self, source: Tensor, answer: Tensor) -> Batch:
        if self.mode == "tag":
            return Batch(source, None, answer)
        if self.last_label:
            answer = answer[:, -1:]
        source = self._append_think_tokens(source)
        if self.mode == "readout":
            return Batch(source, torch.full_like(answer, self.special("<blank>")), answer)
        target = self._append_end(answer)
        start = torch.full_like(target[:, :1], self.special("<start>"))
        # The prefix is the target, one position later. IGNORE is no token; END takes its place.
        previous = target[:, :-1].masked_fill(target[:, :-1] == IGNORE, self.special("<end>"))
        return Batch(source, torch.cat((start, previous), dim=1), target)

    def stream_length(self, length: int) -> int:
        """Return the number of tokens, source and prefix together, at a length of the task."""
        source = self.task.sample(length, Stream.of([0], "", Purpose.PROBE, 0, 1, "cpu"))
        return self(source).stream_length

    def on(self, device: torch.device) -> "Presentation":
        """Return a copy whose task has its tensors on a device."""
        task = copy(self.task)
        vars(task).update({name: value.to(device) for name, value in vars(task).items() if isinstance(value, Tensor)})
        return replace(self, task=task)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Return which tokens of a prediction are correct and which are counted, bool ``[B, T]`` each.

        A task that overrides ``grade`` grades its answer itself. END is correct where it equals the target. A generated
        answer ends at its first END: what comes after it is read as END.
        """
        if not self.graded_by_task:
            return prediction == target, target != IGNORE
        if self.begin and self.mode == "tag":
            masks = replace(self, begin=False).grade(source, target[:, 1:], prediction[:, 1:])
            correct, counted = (F.pad(mask, (1, 0)) for mask in masks)
            return correct, counted
        if self.last_label:
            # The task grades a label for each position, so the last one is padded on the left.
            labels = (F.pad(label, (source.shape[1] - 1, 0), value=IGNORE) for label in (target, prediction))
            correct, counted = self.task.grade(source, *labels)
            return correct[:, -1:], counted[:, -1:] & (target != IGNORE)
        if self.mode != "generate":
            return self.task.grade(source, target, prediction)
        end = self.special("<end>")
        ends = (prediction == end).cumsum(1)
        has_ended = F.pad(ends[:, :-1] > 0, (1, 0))
        # The task does not know END: it grades the answer without the column that END added.
        answer = prediction.masked_fill(has_ended, end)
        correct, counted = self.task.grade(source, target[:, :-1], answer[:, :-1])
        is_end = target == end
        correct = torch.cat((correct, torch.zeros_like(correct[:, :1])), dim=1)
        counted = torch.cat((counted, torch.zeros_like(counted[:, :1])), dim=1)
        return torch.where(is_end, (prediction == end) & ~has_ended, correct), counted | is_end

    @property
    def graded_by_task(self) -> bool:
        """Whether the task overrides ``grade``; exact match in mode generate then needs greedy decoding."""
        return type(self.task).grade is not Task.grade

    @property
    def last_label(self) -> bool:
        """Whether a tag task is asked only for its last label."""
        return (self.task.answer, self.mode) == ("tag", "readout")

    def _has_last_target(self) -> bool:
        """Whether the task has a target at its last position in any of a few sampled rows."""
        length = self.task.lengths[:PROBE_LENGTHS][-1]
        source = self.task.sample(length, Stream.of([0], "", Purpose.PROBE, 0, PROBE_ROWS, "cpu"))
        return bool((self.task.solve(source)[:, -1] != IGNORE).any())

    def _append_think_tokens(self, source: Tensor) -> Tensor:
        if not self.think:
            return source
        think_tokens = source.new_full((source.shape[0], self.think * source.shape[1]), self.special("<think>"))
        return torch.cat((source, think_tokens), dim=1)

    def _append_end(self, answer: Tensor) -> Tensor:
        """Put END right after the last target token of each row; the rest of the row stays ``IGNORE``."""
        target = torch.cat((answer, torch.full_like(answer[:, :1], IGNORE)), dim=1)
        next_position = torch.arange(1, target.shape[1] + 1, device=answer.device)
        end = torch.where(target != IGNORE, next_position, 0).amax(dim=1, keepdim=True)
        return target.scatter(1, end, self.special("<end>"))
