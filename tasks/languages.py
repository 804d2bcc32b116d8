"""Formal languages as tasks: three ways to test whether a model knows a language.

``recognise``: decide whether a word belongs to the language (readout, ``1`` or ``0``, each for half of the words).
``sets``: after each letter of a word, name all symbols that may come next. One label names the whole set, as in
``a|b|$``. This is the measure of Bhattamishra et al. 2020 ("On the Ability and Limitations of Transformers to Recognize
Formal Languages") and Huang et al. 2025 ("A Formal Framework for Understanding Length Generalization in Transformers").
``next``: after each letter, name one symbol that may come next; every such symbol is correct. In some languages one
letter may always come next. Then chance accuracy is high, and ``sets`` is the harder test.

``$`` is the end of a word. A symbol may come next if some word of the language, of any length, continues with it.
"""

from collections.abc import Iterable
from typing import Literal

import torch
from torch import Tensor

from tasks.base import IGNORE, Stream, Task

Ask = Literal["recognise", "next", "sets"]
END = "$"


class Language(Task):
    """A language over letters of one character each.

    A subclass defines how to draw words of the language (``draw``) and words inside or outside of it (``draw_mixed``),
    which words belong to it (``is_member``), and which symbols may come next (``legal_next``).

    Args:
        letters: the alphabet.
        continuations: all sets of symbols that may come next anywhere, each as a string such as ``ab$``.
        ask: one of the three tests described above.
    """

    def __init__(self, letters: str, continuations: Iterable[str], ask: Ask) -> None:
        order = letters + END
        sets = [sorted(symbols, key=order.index) for symbols in continuations]
        answers = {"recognise": ["0", "1"], "next": [END], "sets": ["|".join(symbols) for symbols in sets]}
        self.ask, self.letters = ask, letters
        self.symbols = tuple(dict.fromkeys((*letters, *answers[ask])))
        self.answer = "readout" if ask == "recognise" else "tag"
        self.online = ask == "next"
        if ask == "next" and set.intersection(*map(set, sets)):
            self.known_shortcuts = ("constant",)  # one symbol may follow every prefix
        self.labels = torch.full((1 << len(order),), IGNORE)
        if ask == "sets":
            for symbols in sets:
                code = sum(1 << order.index(symbol) for symbol in symbols)
                self.labels[code] = self.symbols.index("|".join(symbols))

    def draw(self, length: int, stream: Stream) -> Tensor:
        """Draw words of the language, long ``[B, N]``."""
        raise NotImplementedError

    def draw_mixed(self, length: int, stream: Stream) -> Tensor:
        """Draw words inside and outside of the language with equal probability, long ``[B, N]``."""
        raise NotImplementedError

    def is_member(self, word: Tensor) -> Tensor:
        """Return which words ``[B, N]`` belong to the language, bool ``[B]``."""
        raise NotImplementedError

    def legal_next(self, word: Tensor) -> Tensor:
        """Return which letters, then END, may follow each prefix of words of the language, bool ``[B, N, A + 1]``."""
        raise NotImplementedError

    def sample(self, length: int, stream: Stream) -> Tensor:
        """Draw words inside and outside of the language for ``recognise``, and words of the language otherwise."""
        return self.draw_mixed(length, stream) if self.ask == "recognise" else self.draw(length, stream)

    def solve(self, source: Tensor) -> Tensor:
        """Return the decision, the labels of the sets, or the next symbols (at the end, the last one that is legal)."""
        if self.ask == "recognise":
            no, yes = self.symbols.index("0"), self.symbols.index("1")
            return torch.where(self.is_member(source), yes, no)[:, None]
        legal = self.legal_next(source).long()
        symbol = torch.arange(legal.shape[-1], device=source.device)
        if self.ask == "sets":
            return self.labels.to(source.device)[(legal << symbol).sum(-1)]
        last = (legal[:, -1:] * symbol).amax(-1)
        return torch.cat((source[:, 1:], last), dim=1)

    def grade(self, source: Tensor, target: Tensor, prediction: Tensor) -> tuple[Tensor, Tensor]:
        """Accept every symbol that may come next if ``ask`` is ``next``."""
        if self.ask != "next":
            return super().grade(source, target, prediction)
        legal = self.legal_next(source)
        in_alphabet = (prediction >= 0) & (prediction < legal.shape[-1])
        allowed = legal.gather(-1, prediction.masked_fill(~in_alphabet, 0)[..., None])[..., 0]
        return in_alphabet & allowed, torch.ones_like(in_alphabet)


def draw_true_index(candidates: Tensor, stream: Stream) -> Tensor:
    """Draw the index of a true entry of each row ``[B, N]`` uniformly: long ``[B, 1]``, 0 if there is none."""
    rank = candidates.long().cumsum(1)
    target_rank = stream.integers(rank[:, -1:], 1) + 1
    return ((rank == target_rank) & candidates).long().argmax(1, keepdim=True)
