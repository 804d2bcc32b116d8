"""Star-free languages: regular languages that need no counting modulo a number.

They are those that first-order logic with order defines (McNaughton and Papert 1971), and their automata permute no
states. Parity and ``(aa)*`` are not star-free. The examples are from Bhattamishra et al. 2020 and Huang et al. 2025.
Their languages D-n, with D-n = ``(a D-(n-1) b)*``, are the task ``dyck`` with one kind and depth n.
"""

from typing import Literal

from tasks.languages import Ask
from tasks.regular._automaton import Automaton, Regular

ANY = 1 << 24
AUTOMATA = {
    "first": Automaton("01", ((2, 1), (1, 1), (2, 2)), (1,), range(1, ANY)),
    "contains": Automaton("abc", ((1, 0, 0), (1, 2, 0), (2, 2, 2)), (2,), range(2, ANY)),
    "blocks": Automaton("abc", ((1, 4, 4), (1, 2, 4), (4, 2, 3), (4, 4, 3), (4, 4, 4)), (3,), range(3, ANY)),
    "marker": Automaton("abcd", ((0, 0, 2, 1), (2, 1, 1, 2), (2, 2, 2, 2)), (1,), range(1, ANY)),
    "last": Automaton("012", ((1, 0, 0), (1, 0, 1)), (1,), range(1, ANY)),
}


class StarFree(Regular):
    """Recognise the words of a star-free language, or name the symbols that may come next.

    Args:
        language: ``first``: the first bit is 1. ``contains``: the word contains ``ab``. ``blocks``: ``aa*bb*cc*``.
            ``marker``: ``{a,b}*d{b,c}*``. ``last``: ``{0,1,2}*02*``, the last symbol that is not 2 is 0.
        ask: ``recognise`` (half of the words belong to it), ``next`` (name a symbol that may come next, ``$`` for the
            end) or ``sets`` (name all of them).

    Examples:
        0 1 2 0 2 2 -> 1
        0 1 2 -> 0
        language=first: 1 0 0 -> 1
        language=contains: b c a b -> 1
        language=blocks: a a c -> 0
        language=marker: a b d c b -> 1
        language=marker,ask=sets: a d c -> a|b|d b|c|$ b|c|$
        language=blocks,ask=sets: a b c -> a|b b|c c|$
        language=blocks,ask=next: a b c c -> b c c $
    """

    paper = "Huang et al. 2025 (arXiv 2410.02140), star-free languages"

    def __init__(
        self, *, language: Literal["first", "contains", "blocks", "marker", "last"] = "last", ask: Ask = "recognise"
    ) -> None:
        super().__init__(AUTOMATA[language], ask)
        if language == "first" and ask == "recognise":
            self.algorithm_readers = ("first token", "first and last token")
