"""Formats: options that change how the questions and answers of a task are written, and not what is asked.

==============  ==========================  =======================================================================
option          tasks                       meaning
==============  ==========================  =======================================================================
``scratchpad``  :class:`Accumulated`        the answer is preceded by its computation, and only the answer is graded
``hints``       both                        index hints (Zhou et al. 2023): a symbol ``#k`` before every token, the
                                            same in question and answer; ``k`` is consecutive from a random one
``padding``     both                        so many tokens ``_``, which change nothing, at random places of the
                                            question (random spaces: Shen et al. 2023, arXiv 2311.14737)
``order``       :class:`Rearranged`         ``reversed``: question and answer are written backwards;
                                            ``reversed_answer``: only the answer
==============  ==========================  =======================================================================

Arithmetic tasks have options of the same names for their numbers. Which format a task of the catalog has is a table in
``harness/registry/task_formats.py``; a task of a user names it as the class attribute ``format``.
"""

from typing import Literal

import torch
from torch import Tensor

from tasks.base import Answer, Stream, Task
from tasks.validation import NonNegative, check_range

BLANK = "_"


class Formatted(Task):
    """A task whose questions have index hints and padding. Questions have as many tokens as their length.

    Args:
        task: the task, which has a question of every length in one form.
        hints: number of hint symbols; 0 for none.
        padding: number of tokens that are added to a question.
    """

    def __init__(self, task: Task, *, hints: NonNegative = 0, padding: NonNegative = 0) -> None:
        self.task, self.hints, self.padding, self.width = task, hints, padding, 2 if hints else 1
        blanks = (BLANK,) if padding else ()
        self.blank, self.first_hint = len(task.symbols), len(task.symbols) + len(blanks)
        self.symbols = (*task.symbols, *blanks, *(f"#{hint}" for hint in range(hints)))
        self.answer, self.paper = task.answer, task.paper
        self.algorithm_readers, self.known_shortcuts = task.algorithm_readers, task.known_shortcuts
        self.lengths = task.lengths
        if hints:
            check_range("hints", hints, self.lengths.start)
            self.lengths = range(self.lengths.start, min(self.lengths.stop, hints + 1), self.lengths.step)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw a question of the task, the first hint and the places of the padding."""
        source = self.arrange(self.task.sample(length, stream))
        tokens = source[..., None]
        if self.hints:
            first = self.first_hint + stream.integers(self.hints - length + 1, 1)
            tokens = torch.stack((first + torch.arange(length, device=source.device), source), dim=-1)
        return self._pad(tokens, stream) if self.padding else tokens.flatten(1)

    def arrange(self, source: Tensor) -> Tensor:
        """Return a question of the task in the order in which it is written; applied twice, it returns the question."""
        return source

    def read(self, source: Tensor) -> tuple[Tensor, Tensor]:
        """Return the question of the task, long ``[B, N]``, and the hint of each token; without hints, the tokens."""
        if self.padding:
            last = (source == self.blank).long().argsort(dim=1, stable=True)
            source = source.gather(1, last[:, : source.shape[1] - self.padding])
        units = source.unflatten(1, (-1, self.width))
        return self.arrange(units[..., -1]), self.arrange(units[..., 0])

    def with_hints(self, answer: Tensor, hints: Tensor) -> Tensor:
        """Return the tokens of an answer ``[B, T]``, each after its hint if there are hints."""
        return torch.stack((hints, answer), dim=-1).flatten(1) if self.hints else answer

    def _pad(self, tokens: Tensor, stream: Stream) -> Tensor:
        """Insert padding between units of hint and token, ``[B, N, 1 or 2]``; all sets of places are equally likely."""
        count, width = tokens.shape[1:]
        is_padding = stream.permutation(count + self.padding) < self.padding
        units = torch.arange(count, device=tokens.device)
        start = is_padding.long().argsort(dim=1, stable=True)[:, :count] + units * (width - 1)
        places = (start[..., None] + torch.arange(width, device=tokens.device)).flatten(1)
        padded = torch.full_like(places[:, :1], self.blank).repeat(1, count * width + self.padding)
        return padded.scatter(1, places, tokens.flatten(1))


class Accumulated(Formatted):
    """A task with one answer token that every shorter question, a prefix, has too.

    Args:
        task: the task.
        scratchpad: ``running`` writes the answers to all prefixes; the last one is the answer, and only it is graded.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. In a scratchpad, the answer to a prefix has the
            hint of the last token of the prefix.
        padding: number of tokens ``_`` at random places of the question.
    """

    def __init__(
        self,
        task: Task,
        *,
        scratchpad: Literal["none", "running"] = "none",
        hints: NonNegative = 0,
        padding: NonNegative = 0,
    ) -> None:
        super().__init__(task, hints=hints, padding=padding)
        self.running = scratchpad == "running"
        self.answer: Answer = "generate" if self.running else task.answer

    def solve(self, source: Tensor) -> Tensor:
        """Answer the question, or all its prefixes."""
        question, hints = self.read(source)
        if not self.running:
            return self.task.solve(question)
        ends = [size for size in range(1, question.shape[1] + 1) if size in self.task.lengths]
        answers = torch.cat([self.task.solve(question[:, :size]) for size in ends], dim=1)
        return self.with_hints(answers, hints[:, [end - 1 for end in ends]])

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Grade only the last token."""
        counted = torch.zeros_like(target, dtype=torch.bool)
        counted[:, -1] = True
        return prediction == target, counted


class Rearranged(Formatted):
    """A task whose answer consists of tokens of the question, at places that depend only on the length.

    Args:
        task: the task.
        order: ``reversed`` writes question and answer backwards, ``reversed_answer`` only the answer.
        hints: number of hint symbols ``#0``, ``#1``, ...; 0 for none. The hint of its token in the question precedes
            every token of the answer.
        padding: number of tokens ``_`` at random places of the question.
    """

    def __init__(
        self,
        task: Task,
        *,
        order: Literal["forward", "reversed", "reversed_answer"] = "forward",
        hints: NonNegative = 0,
        padding: NonNegative = 0,
    ) -> None:
        super().__init__(task, hints=hints, padding=padding)
        self.order = order

    def arrange(self, source: Tensor) -> Tensor:
        """Write a question backwards if it is reversed."""
        return source.flip(1) if self.order == "reversed" else source

    def solve(self, source: Tensor) -> Tensor:
        """Answer the question; the hints are rearranged as its tokens are."""
        question, hints = self.read(source)
        places = self.task.solve(torch.arange(question.shape[1], device=source.device).expand_as(question))
        if self.order != "forward":
            places = places.flip(1)
        return self.with_hints(question.gather(1, places), hints.gather(1, places))
