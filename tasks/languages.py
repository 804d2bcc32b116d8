"""Formal languages: what it means to know one, asked in three ways.

``recognise``: does the word belong to it? (readout, ``1`` or ``0``, each for half of the words)
``sets``: after each letter of a word, which symbols may come next? One label names the whole set, as in ``a|b|$``;
this is the measure of Bhattamishra et al. 2020 ("On the Ability and Limitations of Transformers to Recognize Formal
Languages") and Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers").
``next``: after each letter, name one symbol that may come next; every such symbol is right. One letter may always be:
then chance is high, and ``sets`` asks for more.

``$`` is the end of a word; a symbol may come next if some word of the language, of any length, goes on with it.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task
from tasks.limits import one_of

Ask = Literal["recognise", "next", "sets"]
END = "$"


class Language(Task):
    """A language over letters of one character each.

    A subclass draws words of the language (``draw``), words of either kind (``mixed``), decides them (``member``) and
    says what may come next (``legal``).

    Args:
        letters: the alphabet.
        continuations: all sets of symbols that may come next anywhere, each as a string such as ``ab$``.
        ask: how the language is asked for, see above.
    """

    def __init__(self, letters: str, continuations: Iterable[str], ask: Ask) -> None:
        one_of("ask", ask, ("recognise", "next", "sets"))
        order = letters + END
        sets = [sorted(each, key=order.index) for each in continuations]
        answers = {"recognise": ["0", "1"], "next": [END], "sets": ["|".join(each) for each in sets]}
        self.ask, self.letters = ask, letters
        self.symbols = tuple(dict.fromkeys((*letters, *answers[ask])))
        self.answer = "readout" if ask == "recognise" else "tag"
        self.online = ask == "next"
        self.labels = torch.full((1 << len(order),), IGNORE)
        if ask == "sets":
            for each in sets:
                self.labels[sum(1 << order.index(symbol) for symbol in each)] = self.symbols.index("|".join(each))

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw words of the language, long ``[B, N]``."""
        raise NotImplementedError

    def mixed(self, length: int, stream: Stream) -> Tensor:
        """Draw words that belong to the language or do not with equal probability, long ``[B, N]``."""
        raise NotImplementedError

    def member(self, word: Tensor) -> Tensor:
        """Decide which words ``[B, N]`` belong to the language, bool ``[B]``."""
        raise NotImplementedError

    def legal(self, word: Tensor) -> Tensor:
        """Return which letters, then END, may follow each prefix of words of the language, bool ``[B, N, A + 1]``."""
        raise NotImplementedError

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw words: of the language, or of both kinds where it is to be recognised."""
        return self.mixed(length, stream) if self.ask == "recognise" else self.draw(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Decide, name the set, or name what comes next (at the end of the row: the last symbol that may)."""
        if self.ask == "recognise":
            no, yes = self.symbols.index("0"), self.symbols.index("1")
            return torch.where(self.member(source), yes, no)[:, None]
        legal = self.legal(source).long()
        place = torch.arange(legal.shape[-1], device=source.device)
        if self.ask == "sets":
            return self.labels.to(source.device)[(legal << place).sum(-1)]
        last = (legal[:, -1:] * place).amax(-1)
        return torch.cat((source[:, 1:], last), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """In ``next`` everything that may come next is right."""
        if self.ask != "next":
            return super().grade(source, target, prediction)
        legal = self.legal(source)
        known = (prediction >= 0) & (prediction < legal.shape[-1])
        allowed = legal.gather(-1, prediction.masked_fill(~known, 0)[..., None])[..., 0]
        return known & allowed, torch.ones_like(known)


def pick(candidates: Tensor, stream: Stream) -> Tensor:
    """Return the place of a true entry of each row of ``[B, N]``, drawn uniformly: long ``[B, 1]``; 0 without one."""
    rank = candidates.long().cumsum(1)
    which = stream.integers(rank[:, -1:], 1) + 1
    return ((rank == which) & candidates).long().argmax(1, keepdim=True)
