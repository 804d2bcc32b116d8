"""Deterministic finite automata and the languages they accept, with members and non-members drawn exactly."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.languages import END, Ask, Language, pick
from tasks.scan import after, prefixes


@dataclass(frozen=True)
class Automaton:
    """An automaton that starts in state 0.

    Attributes:
        letters: the alphabet.
        steps: for each state the next state for each letter.
        accepting: the states in which words of the language end.
        lengths: the lengths at which there are words of the language, and others.
    """

    letters: str
    steps: tuple[tuple[int, ...], ...]
    accepting: tuple[int, ...]
    lengths: range

    @property
    def accepts(self) -> Tensor:
        """Which states accept, bool ``[S]``."""
        return torch.tensor([state in self.accepting for state in range(len(self.steps))])

    @property
    def live(self) -> Tensor:
        """From which states an accepting one can be reached, bool ``[S]``."""
        live, steps = self.accepts, torch.tensor(self.steps)
        for _ in self.steps:
            live = live | live[steps].any(1)
        return live

    @property
    def legal(self) -> Tensor:
        """Which letters, then END, may come next in each state, bool ``[S, A + 1]``."""
        return torch.cat((self.live[torch.tensor(self.steps)], self.accepts[:, None]), dim=1)


@lru_cache(maxsize=64)
def thresholds(automaton: Automaton, length: int, device: torch.device) -> Tensor:
    """Return how likely each letter is or one before it, float ``[N, 2 S, A - 1]``, so that words come out uniform.

    The first ``S`` rows draw words that are refused, the others words that are accepted. A letter is as likely as the
    share of the words of the remaining length that go on with it.
    """
    steps, accepts = torch.tensor(automaton.steps), automaton.accepts
    ways, shares = torch.stack((~accepts, accepts)).double(), []
    for _ in range(length):
        through = ways[:, steps].cumsum(-1)  # [2, S, A]
        shares.append((through / through[..., -1:])[..., :-1].flatten(0, 1))
        ways = through[..., -1] / through[..., -1].amax(1, keepdim=True).clamp(min=1e-300)
    return torch.stack(shares[::-1]).float().to(device)


class Regular(Language):
    """The language of an automaton.

    To be recognised, half of the words are uniform among the words of their kind, and half are one letter away from a
    uniform word of the other kind, if there is such a letter.
    """

    def __init__(self, automaton: Automaton, ask: Ask) -> None:
        order, live = automaton.letters + END, automaton.live
        rows = automaton.legal[live].tolist()
        sets = ["".join(symbol for symbol, may in zip(order, row, strict=True) if may) for row in rows]
        super().__init__(automaton.letters, sets, ask)
        self.automaton, self.lengths = automaton, automaton.lengths
        self.steps, self.accepts, self.legal_in = torch.tensor(automaton.steps), automaton.accepts, automaton.legal

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw words of the language uniformly."""
        return self._draw(length, stream, torch.ones(stream.rows, dtype=torch.long, device=stream.device))

    def mixed(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform words and near misses of both kinds."""
        kind, near = stream.integers(2, 2).unbind(1)
        plain = self._draw(length, stream, kind)
        other = self._draw(length, stream, 1 - kind)
        changed, possible = self._change(other, kind, stream)
        return torch.where((near.bool() & possible)[:, None], changed, plain)

    def member(self, word: Tensor) -> Tensor:
        """Run the automaton."""
        return self.accepts.to(word.device)[self._states(word)[:, -1]]

    def legal(self, word: Tensor) -> Tensor:
        """Look it up in the state reached."""
        return self.legal_in.to(word.device)[self._states(word)]

    def _maps(self, word: Tensor) -> Tensor:
        """Return what each letter does to every state, long ``[B, N, S]``."""
        return self.steps.to(word.device).T[word]

    def _states(self, word: Tensor) -> Tensor:
        return prefixes(after, self._maps(word))[..., 0]

    def _draw(self, length: int, stream: Stream, kind: Tensor) -> Tensor:
        """Draw uniformly among the accepted (kind 1) or refused (kind 0) words."""
        shares = thresholds(self.automaton, length, stream.device)
        steps = self.steps.to(stream.device)
        states, alphabet = steps.shape
        chance, state, word = stream.uniform(length)[..., None], torch.zeros_like(kind), []
        for place in range(length):
            letter = (chance[:, place] >= shares[place][kind * states + state]).sum(1)
            state = steps.view(-1)[state * alphabet + letter]
            word.append(letter)
        return torch.stack(word, dim=1)

    def _change(self, word: Tensor, kind: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
        """Change a letter so that a word becomes of a kind; return the words and whether there is such a letter."""
        maps, steps = self._maps(word), self.steps.to(word.device)
        start = torch.zeros_like(word[:, :1])
        before = torch.cat((start, prefixes(after, maps)[:, :-1, 0]), dim=1)  # [B, N]
        onwards = prefixes(lambda later, earlier: after(earlier, later), maps.flip(1)).flip(1)
        stay = torch.arange(len(steps), device=word.device).expand_as(maps[:, :1])
        end = torch.cat((onwards[:, 1:], stay), dim=1).gather(2, steps[before])  # [B, N, A]
        fits = self.accepts.to(word.device)[end] == kind.bool()[:, None, None]
        other = torch.arange(steps.shape[1], device=word.device) != word[..., None]
        fits = (fits & other).flatten(1)
        chosen = pick(fits, stream)
        return word.scatter(1, chosen // steps.shape[1], chosen % steps.shape[1]), fits.any(1)
