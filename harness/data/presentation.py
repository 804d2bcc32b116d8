"""Presentation: how a question becomes what a model sees. The only place that knows of special symbols.

========  =======================================  ==========================  =========================
asked as  the model sees                           the target is               fed back
========  =======================================  ==========================  =========================
generate  source, START, answer so far             answer, END                 the model's own answer
readout   source, blanks                           answer                      nothing
tag       source                                   a label at each position    nothing
========  =======================================  ==========================  =========================

``think=k`` appends ``k`` computation tokens for each source token (Deletang et al. 2023, section 4).
"""

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
PROBED, ROWS = 9, 16
"""Whether a task asks something at its last position is seen on this many rows of its ninth length."""


class Batch(NamedTuple):
    """What a model sees and what is expected of it: source ``[B, S]``, prefix ``[B, T]`` or None, target ``[B, T]``."""

    source: Tensor
    prefix: Tensor | None
    target: Tensor

    @property
    def stream_length(self) -> int:
        """How many tokens of a row, source and prefix, a model sees."""
        return self.source.shape[1] + (0 if self.prefix is None else self.prefix.shape[1])


class NotApplicable(ValueError):
    """This task cannot be asked in this way."""


@dataclass(frozen=True)
class Presentation:
    """How one task is asked.

    Args:
        task: the task.
        answer: how to ask; ``None`` takes the task's own way. generate and readout may stand for each other, and
            readout for tag (it asks for the last label), unless nothing is ever asked at the last position.
        think: computation tokens for each source token.
    """

    task: Task
    answer: Answer | None = None
    think: int = 0

    @classmethod
    def of(cls, task: Spec, recipe: Recipe) -> "Presentation":
        """Return how a task is asked under a recipe; raises :class:`NotApplicable` where it cannot be."""
        return cls(build_task(task), recipe.answer, recipe.think)

    def __post_init__(self) -> None:
        asked = (self.task.answer, self.mode)
        if asked[0] != asked[1] and asked not in {("generate", "readout"), ("readout", "generate"), ("tag", "readout")}:
            raise NotApplicable(f"a {asked[0]} task cannot be asked as {asked[1]}")
        if self.last_label and not self._asks_at_the_end():
            raise NotApplicable("a readout asks for the last label, and this task asks nothing at the last position")
        if self.mode == "tag" and self.think:
            raise NotApplicable("think needs an answer after the source: ask as readout or generate")

    @property
    def mode(self) -> Answer:
        """How the task is asked."""
        return self.answer or self.task.answer

    @property
    def symbols(self) -> tuple[str, ...]:
        """The model's alphabet: the task's, then the special symbols."""
        return (*self.task.symbols, *SPECIALS)

    def special(self, name: str) -> int:
        """Return the id of a special symbol."""
        return len(self.task.symbols) + SPECIALS.index(name)

    def __call__(self, source: Tensor) -> Batch:
        """Present questions ``[B, S]`` with their answers."""
        return self.with_answer(source, self.task.solve(source))

    def with_answer(self, source: Tensor, answer: Tensor) -> Batch:
        """Present questions ``[B, S]`` with the given answers ``[B, T]``."""
        if self.mode == "tag":
            return Batch(source, None, answer)
        if self.last_label:
            answer = answer[:, -1:]
        seen = self._thinking(source)
        if self.mode == "readout":
            return Batch(seen, torch.full_like(answer, self.special("<blank>")), answer)
        target = self._ended(answer)
        start = torch.full_like(target[:, :1], self.special("<start>"))
        fed = target[:, :-1].masked_fill(target[:, :-1] == IGNORE, self.special("<end>"))
        return Batch(seen, torch.cat((start, fed), dim=1), target)

    def stream_length(self, length: int) -> int:
        """Return how many tokens, source and prefix, a model sees at a length of the task."""
        source = self.task.sample(length, Stream.of([0], "", Purpose.PROBE, 0, 1, "cpu"))
        return self(source).stream_length

    def on(self, device: torch.device) -> "Presentation":
        """Return the same with the task's tables, which are its tensors, on the device where it is asked."""
        task = copy(self.task)
        vars(task).update({name: held.to(device) for name, held in vars(task).items() if isinstance(held, Tensor)})
        return replace(self, task=task)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade a presented answer: the task's own grade, and END like any token. Bool ``[B, T]`` twice."""
        if not self.graded_by_task:
            return prediction == target, target != IGNORE
        if self.last_label:
            labels = (F.pad(each, (source.shape[1] - 1, 0), value=IGNORE) for each in (target, prediction))
            correct, counted = self.task.grade(source, *labels)
            return correct[:, -1:], counted[:, -1:] & (target != IGNORE)
        if self.mode != "generate":
            return self.task.grade(source, target, prediction)
        correct, counted = self.task.grade(source, target[:, :-1], prediction[:, :-1])
        ended = target == self.special("<end>")
        correct = torch.cat((correct, torch.zeros_like(correct[:, :1])), dim=1)
        counted = torch.cat((counted, torch.zeros_like(counted[:, :1])), dim=1)
        return torch.where(ended, prediction == target, correct), counted | ended

    @property
    def graded_by_task(self) -> bool:
        """Whether the task has a grade of its own (then a model's exact match needs a real decode)."""
        return type(self.task).grade is not Task.grade

    @property
    def last_label(self) -> bool:
        """Whether of the labels of a tag task the last alone is asked."""
        return (self.task.answer, self.mode) == ("tag", "readout")

    def _asks_at_the_end(self) -> bool:
        length = self.task.lengths[:PROBED][-1]
        source = self.task.sample(length, Stream.of([0], "", Purpose.PROBE, 0, ROWS, "cpu"))
        return bool((self.task.solve(source)[:, -1] != IGNORE).any())

    def _thinking(self, source: Tensor) -> Tensor:
        if not self.think:
            return source
        room = source.new_full((source.shape[0], self.think * source.shape[1]), self.special("<think>"))
        return torch.cat((source, room), dim=1)

    def _ended(self, answer: Tensor) -> Tensor:
        """Append END right after each row's last asked token; what follows stays ``IGNORE``."""
        room = torch.cat((answer, torch.full_like(answer[:, :1], IGNORE)), dim=1)
        place = torch.arange(1, room.shape[1] + 1, device=answer.device)
        end = torch.where(room != IGNORE, place, 0).amax(dim=1, keepdim=True)
        return room.scatter(1, end, self.special("<end>"))
