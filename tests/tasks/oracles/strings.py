"""Oracles of string tasks."""

from oracles import Oracle


def reverse(source: list[str]) -> list[str]:
    return source[::-1]


def string_instructions(alphabet: str) -> Oracle:
    def answer(source: list[str]) -> list[str]:
        operation, direction, which, *letters = source
        if operation == "sort":
            letters = sorted(letters)
        elif operation == "rotate":
            letters = [*letters[1:], letters[0]]
        elif operation == "swap":
            pairs = [letters[start : start + 2] for start in range(0, len(letters), 2)]
            letters = [letter for pair in pairs for letter in reversed(pair)]
        if direction == "backward":
            letters.reverse()
        steps = {"same": 0, "next": 1}[which]
        return [alphabet[(alphabet.index(letter) + steps) % len(alphabet)] for letter in letters]

    return answer


ORACLES: dict[str, Oracle] = {
    "reverse": reverse,
    "reverse:alphabet=1": reverse,
    "reverse:alphabet=26": reverse,
    "string_instructions": string_instructions("abcd"),
    "string_instructions:alphabet=2,combinations=held_out": string_instructions("ab"),
    "string_instructions:combinations=seen,limit=4,limited=sort": string_instructions("abcd"),
}
