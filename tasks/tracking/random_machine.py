"""Random machines: run a finite automaton whose transition table was drawn at random, once for the whole task.

Ebrahimi and Memisevic 2025 ("Revisiting Bi-Linear State Transitions in Recurrent Neural Networks") compare recurrences
by the number of states that they can track. Parity and the word problem of a group are machines whose table has
structure; this one has none.

A table is a hash of the number of the machine, so it is the same in every run. The first table in the hash's sequence
is taken in which each state can be reached from each other, no state is rare, and no letter leads to one state from all
others. Every state is asked for by its name, so no smaller machine gives the same answers.
"""

from string import ascii_lowercase
from typing import Literal

import torch
from torch import Tensor

from tasks.base import Answer, Stream, Task
from tasks.prefix_scan import compose_maps, prefix_products
from tasks.splitmix import hash_words, splitmix64
from tasks.validation import AtLeastTwo, NonNegative, SeveralLetters

ROUNDS, CANDIDATES = 64, 256
"""Tables are drawn in at most so many rounds of so many."""

RARE = 0.25
"""A state is rare if its share of a long random input is less than this part of the share of a uniform one."""


class RandomMachine(Task):
    """Write the state in which the machine ends, or each state that it enters.

    The machine starts in state ``s0``. The letters of an input are uniform, and the length is their number.

    Args:
        states: number of states.
        letters: number of letters. With few letters and many states no table may qualify.
        machine: number of the table.
        ask: the ``last`` state, or ``every`` state.

    Examples:
        a -> s3
        c a b -> s4
        ask=every: c a b -> s0 s3 s4
        letters=2,states=2: a b -> s1
    """

    paper = "Ebrahimi & Memisevic 2025 (arXiv 2505.21749), random state machines"

    def __init__(
        self,
        *,
        states: AtLeastTwo = 5,
        letters: SeveralLetters = 5,
        machine: NonNegative = 0,
        ask: Literal["last", "every"] = "last",
    ) -> None:
        self.letters, self.every = letters, ask == "every"
        self.answer: Answer = "tag" if self.every else "readout"
        self.symbols = (*ascii_lowercase[:letters], *(f"s{i}" for i in range(states)))
        self.table = draw_table(states, letters, machine)

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw letters uniformly."""
        return stream.integers(self.letters, length)

    def solve(self, source: Tensor) -> Tensor:
        """Compose the maps of all letters so far, and apply them to the first state."""
        maps = self.table.to(source.device)[source]  # [B, N, states]
        states = self.letters + prefix_products(compose_maps, maps)[..., 0]
        return states if self.every else states[:, -1:]


def draw_table(states: int, letters: int, machine: int) -> Tensor:
    """Return the next state by letter and state, long ``[letters, states]``, of the machine with this number.

    Raises:
        ValueError: if none of the candidates is suitable.
    """
    for start in range(0, ROUNDS * CANDIDATES, CANDIDATES):
        number = machine * ROUNDS * CANDIDATES + start + torch.arange(CANDIDATES)
        tables = (hash_words(splitmix64(number + 1), letters * states) % states).unflatten(1, (letters, states))
        tables = tables[_enters_every_state(tables)]  # fast, and most tables of many states fail it
        suitable = tables[_is_suitable(tables)]
        if len(suitable):
            return suitable[0]
    raise ValueError(f"states={states}: too many for letters={letters}; no table connects them all, use more letters")


def _enters_every_state(tables: Tensor) -> Tensor:
    """Return in which tables ``[M, letters, states]`` each state is the next one of some state: bool ``[M]``."""
    entered = torch.zeros(len(tables), tables.shape[2], dtype=torch.bool)
    return entered.scatter(1, tables.flatten(1), True).all(1)


def _is_suitable(tables: Tensor) -> Tensor:
    """Return which tables ``[M, letters, states]`` are suitable: bool ``[M]``.

    The share of each state after many uniform letters must exceed the bound, whatever the first state was. No letter
    may reset the machine, because the letters before it would not count.
    """
    states = tables.shape[2]
    steps = torch.nn.functional.one_hot(tables, states).double().mean(1)  # [M, from, to]
    lazy = (steps + torch.eye(states, dtype=steps.dtype)) / 2  # the same shares in the long run, without a period
    for _ in range(2 * states.bit_length() + 4):
        lazy = lazy @ lazy
    resets = (tables == tables[..., :1]).all(2).any(1)
    return (lazy > RARE / states).flatten(1).all(1) & ~resets
