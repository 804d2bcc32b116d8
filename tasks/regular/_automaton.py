"""Deterministic finite automata and their languages, with members and non-members drawn from exact distributions."""

from dataclasses import dataclass
from functools import lru_cache

import torch
from torch import Tensor

from tasks.base import Stream
from tasks.languages import END, Ask, Language, draw_true_index
from tasks.prefix_scan import compose_maps, prefix_products


@dataclass(frozen=True)
class Automaton:
    """An automaton that starts in state 0.

    Attributes:
        letters: the alphabet.
        steps: for each state the next state for each letter.
        accepting: the states in which words of the language end.
        lengths: the lengths that have both words of the language and other words.
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
        """Which states can reach an accepting one, bool ``[S]``."""
        live, steps = self.accepts, torch.tensor(self.steps)
        for _ in self.steps:
            live = live | live[steps].any(1)
        return live

    @property
    def legal(self) -> Tensor:
        """Which letters, then END, may come next in each state, bool ``[S, A + 1]``."""
        return torch.cat((self.live[torch.tensor(self.steps)], self.accepts[:, None]), dim=1)


@lru_cache(maxsize=64)
def cumulative_probabilities(automaton: Automaton, length: int, device: torch.device) -> Tensor:
    """Return cumulative probabilities of the letters, float ``[N, 2 S, A - 1]``, with which words are uniform.

    The first ``S`` rows are for words that are rejected, the others for words that are accepted. The probability of a
    letter is the fraction of the words of the remaining length that start with it.
    """
    steps, accepts = torch.tensor(automaton.steps), automaton.accepts
    # Relative number of completions from each state, of rejected and accepted words, from the last letter backwards.
    completions, probabilities = torch.stack((~accepts, accepts)).double(), []
    for _ in range(length):
        cumulative = completions[:, steps].cumsum(-1)  # [2, S, A]
        probabilities.append((cumulative / cumulative[..., -1:])[..., :-1].flatten(0, 1))
        completions = cumulative[..., -1] / cumulative[..., -1].amax(1, keepdim=True).clamp(min=1e-300)
    return torch.stack(probabilities[::-1]).float().to(device)


class Regular(Language):
    """The language of an automaton.

    For ``recognise``, half of the words are uniform among the members or among the non-members. The other half are one
    letter away from a uniform word of the opposite kind, if such a letter exists.
    """

    def __init__(self, automaton: Automaton, ask: Ask) -> None:
        order, live = automaton.letters + END, automaton.live
        rows = automaton.legal[live].tolist()
        sets = ["".join(symbol for symbol, is_legal in zip(order, row, strict=True) if is_legal) for row in rows]
        super().__init__(automaton.letters, sets, ask)
        self.automaton, self.lengths = automaton, automaton.lengths
        self.steps, self.accepts, self.legal = torch.tensor(automaton.steps), automaton.accepts, automaton.legal

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw words of the language uniformly."""
        return self._draw(length, stream, torch.ones(stream.rows, dtype=torch.long, device=stream.device))

    def draw_mixed(self, length: int, stream: Stream) -> Tensor:
        """Draw uniform words and near misses, members and non-members of each."""
        kind, near = stream.integers(2, 2).unbind(1)
        uniform = self._draw(length, stream, kind)
        opposite = self._draw(length, stream, 1 - kind)
        changed, possible = self._change(opposite, kind, stream)
        return torch.where((near.bool() & possible)[:, None], changed, uniform)

    def is_member(self, word: Tensor) -> Tensor:
        """Run the automaton and return whether it accepts."""
        return self.accepts.to(word.device)[self._states(word)[:, -1]]

    def legal_next(self, word: Tensor) -> Tensor:
        """Look up the symbols that are legal in the state after each letter."""
        return self.legal.to(word.device)[self._states(word)]

    def _maps(self, word: Tensor) -> Tensor:
        """Return the map from each state to the next one for each letter of the word, long ``[B, N, S]``."""
        return self.steps.to(word.device).T[word]

    def _states(self, word: Tensor) -> Tensor:
        """Return the state after each letter, long ``[B, N]``."""
        return prefix_products(compose_maps, self._maps(word))[..., 0]

    def _draw(self, length: int, stream: Stream, kind: Tensor) -> Tensor:
        """Draw uniformly among the accepted (kind 1) or rejected (kind 0) words."""
        cumulative = cumulative_probabilities(self.automaton, length, stream.device)
        steps = self.steps.to(stream.device)
        states, alphabet = steps.shape
        uniform, state, word = stream.uniform(length)[..., None], torch.zeros_like(kind), []
        for position in range(length):
            letter = (uniform[:, position] >= cumulative[position][kind * states + state]).sum(1)
            state = steps.view(-1)[state * alphabet + letter]
            word.append(letter)
        return torch.stack(word, dim=1)

    def _change(self, word: Tensor, kind: Tensor, stream: Stream) -> tuple[Tensor, Tensor]:
        """Change one letter so that a word becomes of a kind; return the words and whether such a letter exists."""
        maps, steps = self._maps(word), self.steps.to(word.device)
        # State before each position, and map from the state after each position to the final state.
        start = torch.zeros_like(word[:, :1])
        before = torch.cat((start, prefix_products(compose_maps, maps)[:, :-1, 0]), dim=1)  # [B, N]
        suffixes = prefix_products(lambda later, earlier: compose_maps(earlier, later), maps.flip(1)).flip(1)
        identity = torch.arange(len(steps), device=word.device).expand_as(maps[:, :1])
        # Final state for every letter at every position, and whether the word is then of the requested kind.
        final = torch.cat((suffixes[:, 1:], identity), dim=1).gather(2, steps[before])  # [B, N, A]
        fits = self.accepts.to(word.device)[final] == kind.bool()[:, None, None]
        differs = torch.arange(steps.shape[1], device=word.device) != word[..., None]
        fits = (fits & differs).flatten(1)
        chosen = draw_true_index(fits, stream)
        return word.scatter(1, chosen // steps.shape[1], chosen % steps.shape[1]), fits.any(1)
