"""Tomita's seven languages: small automata that have been a benchmark of grammar learning for forty years.

Tomita 1982 ("Dynamic construction of finite automata from examples using hill-climbing"); for transformers,
Bhattamishra et al. 2020 and Huang et al. 2025. Languages 1, 2, 4 and 7 are star-free; 3, 5 and 6 require counting
modulo a number.
"""

from typing import Annotated

from annotated_types import Interval

from tasks.languages import Ask
from tasks.regular._automaton import Automaton, Regular

ANY, EVEN = 1 << 24, 2
AUTOMATA = (
    Automaton("01", ((1, 0), (1, 1)), (0,), range(1, ANY)),
    Automaton("01", ((2, 1), (0, 2), (2, 2)), (0,), range(2, ANY, EVEN)),
    Automaton("01", ((0, 1), (2, 0), (3, 4), (2, 1), (4, 4)), (0, 1, 3), range(2, ANY)),
    Automaton("01", ((1, 0), (2, 0), (3, 0), (3, 3)), (0, 1, 2), range(3, ANY)),
    Automaton("01", ((1, 2), (0, 3), (3, 0), (2, 1)), (0,), range(2, ANY, EVEN)),
    Automaton("01", ((1, 2), (2, 0), (0, 1)), (0,), range(2, ANY)),
    Automaton("01", ((0, 1), (2, 1), (2, 3), (4, 3), (4, 4)), (0, 1, 2, 3), range(4, ANY)),
)


class Tomita(Regular):
    """Recognise the words of one of seven languages, or name the symbols that may come next.

    1: only ones. 2: ``10`` repeated. 3: no odd run of ones is followed by an odd run of zeros. 4: no ``000``. 5: even
    numbers of zeros and of ones. 6: as many zeros as ones, modulo 3. 7: ``0*1*0*1*``.

    The lengths are those that have both words of the language and other words; 2 and 5 have even lengths only.

    Args:
        index: number of the language, 1 to 7.
        ask: ``recognise`` (half of the words belong to it), ``next`` (name a symbol that may come next, ``$`` for the
            end) or ``sets`` (name all of them).

    Examples:
        1 0 0 1 0 0 -> 1
        1 0 0 0 1 -> 0
        index=1: 1 1 0 -> 0
        index=2: 1 0 1 0 -> 1
        index=3: 1 1 0 1 0 0 -> 1
        index=3: 0 1 0 -> 0
        index=5: 0 1 1 0 -> 1
        index=6: 0 0 0 1 -> 0
        index=7: 0 1 1 0 1 -> 1
        ask=sets: 1 0 0 1 -> 0|1|$ 0|1|$ 1|$ 0|1|$
        index=2,ask=sets: 1 0 -> 0 1|$
        index=2,ask=next: 1 0 1 0 -> 0 1 0 $
    """

    paper = "Huang et al. 2025 (arXiv 2410.02140), Tomita 1 to 7"

    def __init__(self, *, index: Annotated[int, Interval(ge=1, le=len(AUTOMATA))] = 4, ask: Ask = "recognise") -> None:
        super().__init__(AUTOMATA[index - 1], ask)
