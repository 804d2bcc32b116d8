"""String instructions: a mixture of string tasks, in which the first tokens of a question say what to do.

Models that are fine-tuned on many tasks, each named by an instruction, can follow instructions that they have not seen
(Wei et al. 2022; Ouyang et al. 2022). Here an instruction has three words, so it can be asked which *combinations* of
known words a model follows, and at which lengths.

Each word occurs in the combinations to train on, and so does each pair of words. What is held out is a third word to a
pair. Cai et al. 2025 train one task to a short length together with related tasks to a longer one, and find that the
length carries over. ``limited`` does that here.
"""

from itertools import product
from string import ascii_lowercase
from typing import Literal

import torch
from torch import Tensor

from tasks.base import Stream, Task
from tasks.validation import Positive, SeveralLetters

OPERATIONS, DIRECTIONS, LETTERS = ("copy", "rotate", "swap", "sort"), ("forward", "backward"), ("same", "next")
WORDS = (*OPERATIONS, *DIRECTIONS, *LETTERS)
COMBINATIONS = tuple(product(range(len(OPERATIONS)), range(len(DIRECTIONS)), range(len(LETTERS))))
HELD_OUT = ((0, 1, 1), (1, 0, 0), (2, 0, 1), (3, 1, 0))
"""One combination of each operation, so that no two of them share a pair of words."""

SEEN = tuple(c for c in COMBINATIONS if c not in HELD_OUT)


class StringInstructions(Task):
    """Follow an instruction of three words on the letters after it: an operation, a direction, and which letters.

    The operation is ``copy``, ``rotate`` (the first letter goes to the end), ``swap`` (the first letter with the
    second, the third with the fourth, ...) or ``sort``. With ``backward`` the result is written from its end, and with
    ``next`` each of its letters is replaced by the next one in the alphabet (the last by the first). The length counts
    letters.

    Args:
        alphabet: number of letters.
        combinations: instructions that are given: all 16, the 12 to train on (``seen``), or the other 4 (``held_out``).
        only: the operation of all questions; ``any`` for all operations.
        limited: an operation that does not occur at lengths above ``limit``; ``none`` for no such operation.
        limit: the longest questions with the operation ``limited``.

    Examples:
        copy forward same a c b -> a c b
        rotate backward same a c b -> a b c
        swap forward next a c b -> d b c
        sort backward next d a -> a b
        combinations=held_out: swap forward next a -> b
        only=sort: sort forward same b b a -> a b b
        limit=4,limited=copy: copy forward same b a -> b a
    """

    answer = "generate"
    paper = "operations after Wei et al. 2022 (arXiv 2109.01652); lengths after Cai et al. 2025 (arXiv 2506.09251)"

    def __init__(
        self,
        *,
        alphabet: SeveralLetters = 4,
        combinations: Literal["all", "seen", "held_out"] = "all",
        only: Literal["any", "copy", "rotate", "swap", "sort"] = "any",
        limited: Literal["none", "copy", "rotate", "swap", "sort"] = "none",
        limit: Positive = 10,
    ) -> None:
        if only == limited:
            raise ValueError(f"limited={limited}: only={only} asks for no other operation; choose another")
        self.alphabet, self.limit = alphabet, limit
        self.symbols = (*ascii_lowercase[:alphabet], *WORDS)
        combined = {"all": COMBINATIONS, "seen": SEEN, "held_out": HELD_OUT}[combinations]
        given = [c for c in combined if only in ("any", OPERATIONS[c[0]])]
        self.short = self._tokens(given)
        self.long = self._tokens([c for c in given if OPERATIONS[c[0]] != limited])

    def _tokens(self, combinations: list[tuple[int, int, int]]) -> Tensor:
        """Return instructions as tokens, long ``[N, 3]``."""
        starts = torch.tensor([0, len(OPERATIONS), len(OPERATIONS) + len(DIRECTIONS)])
        return self.alphabet + starts + torch.tensor(combinations)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw an instruction and letters, all uniformly."""
        instructions = (self.short if length <= self.limit else self.long).to(stream.device)
        chosen = stream.integers(len(instructions), 1)[:, 0]
        return torch.cat((instructions[chosen], stream.integers(self.alphabet, length)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Carry out all operations, and take the one that is asked for."""
        operation, direction, which = (source[:, :3] - self.alphabet).unbind(1)
        letters = source[:, 3:]
        place = torch.arange(letters.shape[1], device=source.device)
        neighbour = place + 1 - 2 * (place % 2)
        neighbour = torch.where(neighbour < len(place), neighbour, place)
        results = torch.stack((letters, letters.roll(-1, dims=1), letters[:, neighbour], letters.sort(dim=1).values))
        result = results[operation, torch.arange(len(source), device=source.device)]
        backward = (direction == WORDS.index("backward"))[:, None]
        result = torch.where(backward, result.flip(1), result)
        return (result + (which == WORDS.index("next")).long()[:, None]) % self.alphabet
