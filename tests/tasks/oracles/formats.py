"""Oracles of formats: hints, padding, scratchpads and orders around the questions and answers of other oracles."""

from oracles import Oracle
from oracles.arithmetic import answer_reversed, read, scratchpad, subtraction, sum_modulo, window, write
from oracles.chomsky import copy, duplicate_string, odds_first
from oracles.regular import parity
from oracles.strings import reverse
from oracles.tracking import cycle_navigation, even_pairs, modular_arithmetic


def read_question(source: list[str], hints: bool, padding: int) -> tuple[list[str], list[str]]:
    """Return the tokens and the hints of a question."""
    assert source.count("_") == padding
    source = [token for token in source if token != "_"]
    if not hints:
        return source, []
    return source[1::2], [f"#{hint}" for hint in window(source)]


def accumulated(oracle: Oracle, running: bool = False, hints: bool = False, padding: int = 0, step: int = 1) -> Oracle:
    def formatted(source: list[str]) -> list[str]:
        tokens, marks = read_question(source, hints, padding)
        if not running:
            return oracle(tokens)
        answer = []
        for end in range(1, len(tokens) + 1, step):
            answer += [*marks[end - 1 : end], *oracle(tokens[:end])]
        return answer

    return formatted


def rearranged(oracle: Oracle, order: str = "forward", hints: bool = False, padding: int = 0) -> Oracle:
    def formatted(source: list[str]) -> list[str]:
        parts = [part for part in read_question(source, hints, padding) if part]
        if order == "reversed":
            parts = [part[::-1] for part in parts]
        answers = [oracle(part) if order == "forward" else oracle(part)[::-1] for part in parts]
        return [token for pair in zip(*reversed(answers), strict=True) for token in pair]

    return formatted


def borrowing(base: int = 10, reverse: bool = False, hints: bool = False) -> Oracle:
    """Build the oracle: written subtraction place by place, then the answer."""
    answered = subtraction(base, reverse, hints)

    def oracle(source: list[str]) -> list[str]:
        answer, middle = answered(source), source.index("-")
        a, b = (read(operand, base, reverse) for operand in (source[:middle], source[middle + 1 :]))
        steps, borrow, places = list[str](), 0, len(answer) // (1 + hints)
        for place in range(places):
            difference = a // base**place % base - b // base**place % base - borrow
            borrow = int(difference < 0)
            steps += [answer[2 * place if reverse else 2 * (places - 1 - place)]] if hints else []
            steps += [str(borrow), *write(difference % base, 1, base, reverse=False)]
        return [*steps, "=", *answer]

    return oracle


ORACLES: dict[str, Oracle] = {
    "parity:scratchpad=running": accumulated(parity, running=True),
    "parity:hints=300": accumulated(parity, hints=True),
    "parity:padding=3": accumulated(parity, padding=3),
    "parity:hints=600,padding=5,scratchpad=running": accumulated(parity, True, True, 5),
    "even_pairs:scratchpad=running": accumulated(even_pairs, running=True),
    "cycle_navigation:hints=90,scratchpad=running": accumulated(cycle_navigation(5), True, True),
    "sum_modulo:modulus=7,padding=1,scratchpad=running": accumulated(sum_modulo(7), True, False, 1),
    "modular_arithmetic:hints=200,padding=2,scratchpad=running": accumulated(modular_arithmetic(5), True, True, 2, 2),
    "copy:hints=600": rearranged(copy, hints=True),
    "copy:alphabet=5,hints=80,order=reversed_answer,padding=2": rearranged(copy, "reversed_answer", True, 2),
    "reverse:hints=600,order=reversed": rearranged(reverse, "reversed", True),
    "duplicate_string:order=reversed,padding=4": rearranged(duplicate_string, "reversed", False, 4),
    "odds_first:hints=70,order=reversed": rearranged(odds_first, "reversed", True),
    "odds_first:hints=70,order=reversed_answer": rearranged(odds_first, "reversed_answer", True),
    "addition:scratchpad=places": scratchpad(),
    "addition:hints=600,order=reversed,padding=1,scratchpad=places": scratchpad(hints=True, reverse=True, padding=1),
    "addition:order=reversed_answer,scratchpad=places": answer_reversed(scratchpad()),
    "subtraction:scratchpad=places": borrowing(),
    "subtraction:base=3,hints=600,order=reversed,scratchpad=places": borrowing(3, True, True),
}
