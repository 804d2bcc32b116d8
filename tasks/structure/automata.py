"""Automata in context: strings of one unknown automaton, to be continued as it would.

Akyurek et al. 2024 ("In-Context Language Learning: Architectures and Algorithms"), the benchmark RegBench. Every row
has one random automaton, from which all of its strings come; whatever that automaton allows next is right.

A row opens with a name, six random letters, and its automaton is a hash of the name. To a model the name is noise,
as nobody can learn the hash; it only lets the grade know the automaton. The paper's rows have no names.

The authors' code drew automata at first as here. In its later form an automaton has 4 to 12 states and, drawn apart
from them, 4 to 18 letters; the edges of a state lead to different states, never to itself; and automata are minimised.
"""

from string import ascii_lowercase
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import within
from tasks.structure._hash import mix, words

NAME = 6


class _Automaton(NamedTuple):
    """One automaton a row: ``letter`` and ``target`` of each edge ``[B, S, E]``, and how many edges, ``[B, S]``."""

    letter: Tensor
    target: Tensor
    edges: Tensor


class Automata(Task):
    """At every position of a string, give a letter that its automaton may write next.

    An automaton has 2 to ``states`` states and uses as many letters; a state has up to ``edges`` edges with different
    letters, each to any state. Strings start in state 0 and take edges uniformly; their lengths are uniform up to
    ``longest``. The length is that of all strings with the bars between them. No string's end is asked; at the end of
    the row it is a letter with which the string could go on.

    Args:
        states: of an automaton at most.
        edges: of a state at most.
        letters: of the alphabet.
        longest: letters of the longest string.
        automata: how many automata there are; rows share them.
        held_out: take as many others.

    Examples:
        l j m e n d | g o | m d q i | m -> . . . . . . g o . m d q i . m d
        letters=3: b b a c a c | c c b | b c | b b -> . . . . . . c c b . b c . b b c
        held_out=true: l j m e n d | p d | a i p a | a -> . . . . . . p d . a i p a . a b
    """

    answer = "tag"
    online = True
    paper = "Akyurek et al. 2024 (arXiv 2401.12973), RegBench"

    def __init__(
        self,
        *,
        states: int = 12,
        edges: int = 4,
        letters: int = 18,
        longest: int = 50,
        automata: int = 5000,
        held_out: bool = False,
    ) -> None:
        within("letters", letters, 2, len(ascii_lowercase))
        within("states", states, 2)
        within("edges", edges, 1)
        within("longest", longest, 1)
        within("automata", automata, 1)
        self.states, self.edges, self.letters, self.longest = states, edges, letters, longest
        self.automata, self.held_out = automata, held_out
        self.symbols = (*ascii_lowercase[:letters], "|")

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw names and walk their automata, back to the start at every bar."""
        name = stream.integers(self.letters, NAME)
        letter, target, edges = self._automaton(name)
        ends = (1 + stream.integers(self.longest, length)).add(1).cumsum(1) - 1
        place = torch.arange(length, device=stream.device).expand_as(ends).contiguous()
        bars = torch.searchsorted(ends, place, right=True) > torch.searchsorted(ends, place)
        drawn = stream.uniform(length)
        row = torch.arange(stream.rows, device=stream.device)
        state = torch.zeros_like(row)
        written = []
        for bar, uniform in zip(bars.unbind(1), drawn.unbind(1), strict=True):
            edge = (uniform * edges[row, state]).long()
            written.append(letter[row, state, edge].masked_fill(bar, self.letters))
            state = target[row, state, edge].masked_fill(bar, 0)
        return torch.cat((name, torch.full_like(name[:, :1], self.letters), torch.stack(written, dim=1)), dim=1)

    def solve(self, source: Tensor) -> Tensor:
        """Give the letter that came next, one of those that are right; at the end of the row that of the first edge."""
        automaton = self._automaton(source[:, :NAME])
        onward = automaton.letter[..., 0].gather(1, self._states(automaton, source)[:, -1:])
        label = torch.cat((source[:, 1:], onward), dim=1)
        label = label.masked_fill(label == self.letters, IGNORE)
        return label.index_fill(1, torch.arange(NAME, device=source.device), IGNORE)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Accept every letter that is on an edge of the state reached."""
        automaton = self._automaton(source[:, :NAME])
        legal = self._table(automaton, torch.ones_like(automaton.target)).bool()
        guess = prediction[:, NAME:].clamp(0, self.letters)
        row = torch.arange(len(source), device=source.device)[:, None]
        right = legal[row, self._states(automaton, source), guess]
        return F.pad(right, (NAME, 0)), target != IGNORE

    def _states(self, automaton: _Automaton, source: Tensor) -> Tensor:
        """Walk the strings behind the name: the state after each token, long ``[B, N - 6]``."""
        after = self._table(automaton, automaton.target)
        row = torch.arange(len(source), device=source.device)
        state, states = torch.zeros_like(row), []
        for token in source[:, NAME:].unbind(1):
            state = after[row, state, token]
            states.append(state)
        return torch.stack(states, dim=1)

    def _table(self, automaton: _Automaton, value: Tensor) -> Tensor:
        """Sort a value of each edge by its letter: long ``[B, S, A + 1]``, 0 for other letters and for the bar."""
        letter, _, edges = automaton
        real = torch.arange(letter.shape[2], device=letter.device) < edges[..., None]
        table = letter.new_zeros(*edges.shape, self.letters + 1)
        return table.scatter(2, letter.masked_fill(~real, self.letters), value.masked_fill(~real, 0))

    def _automaton(self, name: Tensor) -> _Automaton:
        """Draw the automaton of each name, long ``[B, 6]``."""
        number = (name * self.letters ** torch.arange(NAME, device=name.device)).sum(1)
        which = torch.remainder(mix(number + 1), self.automata) + self.automata * self.held_out
        states, edges, letters = self.states, min(self.edges, self.letters), self.letters
        sizes = (1, letters, states, states * letters, states * edges)
        size, order, many, choice, goal = words(mix(which + 1), sum(sizes)).split(sizes, dim=1)
        used = 2 + size % (min(states, letters) - 1)  # [B, 1]
        alphabet = order.argsort(dim=1)
        choice = choice.unflatten(1, (states, letters))
        unused = torch.arange(letters, device=name.device) >= used[..., None]
        letter = choice.masked_fill(unused, 1 << 31).argsort(dim=2)[..., :edges]
        letter = alphabet[:, None].expand(-1, states, -1).gather(2, letter)
        return _Automaton(letter, (goal % used).unflatten(1, (states, edges)), 1 + many % used.clamp(max=edges))
