"""Oracles of formal languages: regular expressions and counts, and legal next symbols by trying completions."""

import re
from collections.abc import Callable
from itertools import product

from oracles import Oracle

Belongs = Callable[[str], bool]

TOMITA: dict[int, Belongs] = {
    1: lambda word: "0" not in word,
    2: lambda word: re.fullmatch("(10)*", word) is not None,
    3: lambda word: re.search(r"(?<!1)1(11)*0(00)*(?!0)", word) is None,
    4: lambda word: "000" not in word,
    5: lambda word: word.count("0") % 2 == word.count("1") % 2 == 0,
    6: lambda word: (word.count("0") - word.count("1")) % 3 == 0,
    7: lambda word: re.fullmatch("0*1*0*1*", word) is not None,
}
REACH = {1: 0, 2: 1, 3: 1, 4: 0, 5: 2, 6: 2, 7: 0}
"""Number of letters that suffice to complete any prefix that can be completed."""

STAR_FREE: dict[str, tuple[str, Belongs]] = {
    "first": ("01", lambda word: word.startswith("1")),
    "contains": ("abc", lambda word: "ab" in word),
    "blocks": ("abc", lambda word: re.fullmatch("a+b+c+", word) is not None),
    "marker": ("abcd", lambda word: re.fullmatch("[ab]*d[bc]*", word) is not None),
    "last": ("012", lambda word: re.fullmatch("[012]*02*", word) is not None),
}


def recognised(belongs: Belongs) -> Oracle:
    return lambda source: ["1" if belongs("".join(source)) else "0"]


def nexts(letters: str, belongs: Belongs, reach: int) -> Callable[[str], list[str]]:
    """Build a function that returns the legal next symbols: letters with a short completion, and the end."""
    tails = ["".join(tail) for size in range(reach + 1) for tail in product(letters, repeat=size)]

    def possible(prefix: str) -> list[str]:
        letters_on = [letter for letter in letters if any(belongs(prefix + letter + tail) for tail in tails)]
        return [*letters_on, *(["$"] if belongs(prefix) else [])]

    return possible


def sets(possible: Callable[[str], list[str]]) -> Oracle:
    return lambda source: ["|".join(possible("".join(source[: i + 1]))) for i in range(len(source))]


def following(possible: Callable[[str], list[str]]) -> Oracle:
    """Build the oracle of ``next``: the next symbol of the source; at its end, the last legal one."""

    def oracle(source: list[str]) -> list[str]:
        for i, letter in enumerate(source[1:], 1):
            assert letter in possible("".join(source[:i]))
        return [*source[1:], possible("".join(source))[-1]]

    return oracle


PAIRS = {"(": ")", "[": "]", "<": ">", "{": "}"}


def stack(word: str, depth: int) -> str | None:
    """Return the open brackets, or None if the word cannot be completed."""
    left = ""
    for bracket in word:
        if bracket in PAIRS:
            left += bracket
        elif not left or PAIRS[left[-1]] != bracket:
            return None
        else:
            left = left[:-1]
        if depth and len(left) > depth:
            return None
    return left


def dyck(word: str, depth: int = 8) -> bool:
    return stack(word, depth) == ""


def after_dyck(kinds: int, depth: int) -> Callable[[str], list[str]]:
    """Build a function that returns the symbols after which the word can still be completed."""
    letters = "()[]<>{}"[: 2 * kinds]

    def possible(prefix: str) -> list[str]:
        legal = [letter for letter in letters if stack(prefix + letter, depth) is not None]
        return [*legal, *(["$"] if dyck(prefix, depth) else [])]

    return possible


def by_kind(word: str) -> list[str]:
    """Return the brackets of each kind as separate words."""
    return ["".join(bracket for bracket in word if bracket in pair) for pair in PAIRS.items()]


def shuffle_dyck(word: str) -> bool:
    return all(dyck(part, 0) for part in by_kind(word))


def after_shuffle(kinds: int) -> Callable[[str], list[str]]:
    letters = "()[]<>{}"[: 2 * kinds]

    def possible(prefix: str) -> list[str]:
        left = {close: prefix.count(opening) - prefix.count(close) for opening, close in PAIRS.items()}
        legal = [bracket for bracket in letters if left.get(bracket, 1) > 0]
        return legal if any(left.values()) else [*legal, "$"]

    return possible


def blocks(letters: int) -> Belongs:
    return lambda word: word == "".join(letter * (len(word) // letters) for letter in "abcdefgh"[:letters])


def after_blocks(letters: int) -> Callable[[str], list[str]]:
    """Build a function that returns the next symbols of words with at most one more of the first letter."""
    alphabet = "abcdefgh"[:letters]

    def possible(prefix: str) -> list[str]:
        first = prefix.count("a")
        words = ["".join(letter * size for letter in alphabet) + "$" for size in (first, first + 1)]
        return sorted({word[len(prefix)] for word in words if word.startswith(prefix)}, key=(alphabet + "$").index)

    return possible


def interleaved_majority(strings: int = 3) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        parts = [source[start::strings] for start in range(strings)]
        return ["1" if part.count("1") > part.count("0") else "0" for part in parts]

    return oracle


def majority_alphabet(source: list[str]) -> list[str]:
    counts = sorted((source.count(letter), letter) for letter in set(source))
    assert len(counts) == 1 or counts[-1][0] > counts[-2][0]
    return [counts[-1][1]]


COUNTING: dict[str, Oracle] = {
    "dyck": recognised(dyck),
    "dyck:kinds=1,depth=3": recognised(lambda word: dyck(word, 3)),
    "dyck:depth=1": recognised(lambda word: dyck(word, 1)),
    "dyck:kinds=4,depth=0": recognised(lambda word: dyck(word, 0)),
    "dyck:kinds=1,depth=0,ask=sets": sets(after_dyck(1, 0)),
    "dyck:kinds=1,depth=2,ask=sets": sets(after_dyck(1, 2)),
    "dyck:depth=1,ask=sets": sets(after_dyck(2, 1)),
    "dyck:kinds=4,ask=sets": sets(after_dyck(4, 8)),
    "dyck:depth=3,ask=next": following(after_dyck(2, 3)),
    "shuffle_dyck": recognised(shuffle_dyck),
    "shuffle_dyck:kinds=1": recognised(shuffle_dyck),
    "shuffle_dyck:kinds=4": recognised(shuffle_dyck),
    "shuffle_dyck:ask=sets": sets(after_shuffle(2)),
    "shuffle_dyck:kinds=4,ask=sets": sets(after_shuffle(4)),
    "shuffle_dyck:ask=next": following(after_shuffle(2)),
    "anbn": recognised(blocks(2)),
    "anbn:letters=3": recognised(blocks(3)),
    "anbn:letters=4": recognised(blocks(4)),
    "anbn:ask=sets": sets(after_blocks(2)),
    "anbn:letters=3,ask=sets": sets(after_blocks(3)),
    "anbn:letters=4,ask=next": following(after_blocks(4)),
    "interleaved_majority": interleaved_majority(),
    "interleaved_majority:strings=1": interleaved_majority(1),
    "interleaved_majority:strings=4": interleaved_majority(4),
    "majority_alphabet": majority_alphabet,
    "majority_alphabet:alphabet=2": majority_alphabet,
    "majority_alphabet:alphabet=5": majority_alphabet,
}
ORACLES: dict[str, Oracle] = {
    "tomita": recognised(TOMITA[4]),
    "star_free": recognised(STAR_FREE["last"][1]),
    **{f"tomita:index={i}": recognised(belongs) for i, belongs in TOMITA.items()},
    **{f"tomita:index={i},ask=sets": sets(nexts("01", belongs, REACH[i])) for i, belongs in TOMITA.items()},
    **{f"tomita:index={i},ask=next": following(nexts("01", belongs, REACH[i])) for i, belongs in TOMITA.items()},
    **{f"star_free:language={name}": recognised(belongs) for name, (_, belongs) in STAR_FREE.items()},
    **{f"star_free:language={name},ask=sets": sets(nexts(*language, 2)) for name, language in STAR_FREE.items()},
    **{f"star_free:language={name},ask=next": following(nexts(*language, 2)) for name, language in STAR_FREE.items()},
    **COUNTING,
}
