"""Oracles of arithmetic, computed with Python integers."""

from collections.abc import Callable

from oracles import Oracle

SYMBOLS = "0123456789abcdefghijklmnopqrstuvwxyz"


def read(tokens: list[str], base: int, reverse: bool) -> int:
    digits = [token for token in tokens if not token.startswith("#")]
    return int("".join(digits[::-1] if reverse else digits), base)


def write(value: int, places: int, base: int, reverse: bool) -> list[str]:
    assert 0 <= value < base**places
    digits = [SYMBOLS[value // base**place % base] for place in range(places)]
    return digits if reverse else digits[::-1]


def window(tokens: list[str]) -> list[int]:
    """Return the hints of a number: one before each digit, consecutive."""
    numbers = [int(token[1:]) for token in tokens[::2]]
    assert not any(token.startswith("#") for token in tokens[1::2])
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    return numbers


def hinted(digits: list[str], first: int) -> list[str]:
    return [token for place, digit in enumerate(digits) for token in (f"#{first + place}", digit)]


def sum_or_difference(
    sign: str,
    combine: Callable[[int, int], int],
    extra: int,
    base: int,
    reverse: bool,
    hints: bool,
    padding: int = 0,
    shorter: int = 0,
) -> Oracle:
    """Build the oracle; the answer has ``extra`` digits more than the first operand including padding."""

    def oracle(source: list[str]) -> list[str]:
        middle = source.index(sign)
        a, b = source[:middle], source[middle + 1 :]
        assert len(b) == max(len(a) - shorter * (1 + hints), (1 + padding) * (1 + hints))
        value = combine(read(a, base, reverse), read(b, base, reverse))
        answer = write(value, len(a) // (1 + hints) + extra, base, reverse)
        if not hints:
            return answer
        hints_read, second = window(a), window(b)
        assert second == (hints_read[: len(second)] if reverse else hints_read[-len(second) :])
        return hinted(answer, hints_read[0] - (0 if reverse else extra))

    return oracle


def addition(base: int = 10, reverse: bool = False, hints: bool = False, padding: int = 0, shorter: int = 0) -> Oracle:
    return sum_or_difference("+", lambda a, b: a + b, int(padding == 0), base, reverse, hints, padding, shorter)


def subtraction(base: int = 10, reverse: bool = False, hints: bool = False) -> Oracle:
    """Build the oracle; ``write`` fails for a negative answer."""
    return sum_or_difference("-", lambda a, b: a - b, 0, base, reverse, hints)


def scratchpad(base: int = 10, reverse: bool = False, hints: bool = False, padding: int = 0) -> Oracle:
    """Build the oracle: written addition place by place, then the answer of addition."""
    answered = addition(base, reverse, hints, padding)

    def oracle(source: list[str]) -> list[str]:
        answer = answered(source)
        middle = source.index("+")
        a, b = (read(operand, base, reverse) for operand in (source[:middle], source[middle + 1 :]))
        steps: list[str] = []
        carry, places = 0, len(answer) // (1 + hints)
        for place in range(places):
            total = a // base**place % base + b // base**place % base + carry
            carry = total // base
            steps += [answer[2 * place if reverse else 2 * (places - 1 - place)]] if hints else []
            steps += write(total, 2, base, reverse=False)
        return [*steps, "=", *answer]

    return oracle


def answer_reversed(oracle: Oracle, width: int = 1) -> Oracle:
    """Build the oracle of reversed answers to forward operands; ``width`` is the number of tokens of a digit."""

    def reversed_oracle(source: list[str]) -> list[str]:
        answer = oracle(source)
        start = answer.index("=") + 1 if "=" in answer else 0
        digits = [answer[i : i + width] for i in range(start, len(answer), width)]
        return [*answer[:start], *(token for digit in digits[::-1] for token in digit)]

    return reversed_oracle


def multiplication(digits: int = 1, base: int = 10, reverse: bool = False) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        middle = source.index("*")
        a, b = source[:middle], source[middle + 1 :]
        assert len(b) == digits
        return write(read(a, base, reverse) * read(b, base, reverse), len(a) + digits, base, reverse)

    return oracle


def sum_modulo(modulus: int = 10) -> Oracle:
    return lambda source: [SYMBOLS[sum(SYMBOLS.index(digit) for digit in source) % modulus]]


ORACLES: dict[str, Oracle] = {
    "addition": addition(),
    "addition:base=2": addition(base=2),
    "addition:base=36": addition(base=36),
    "addition:base=2,order=reversed": addition(base=2, reverse=True),
    "addition:order=reversed": addition(reverse=True),
    "addition:order=reversed_answer": answer_reversed(addition()),
    "addition:base=3,hints=600,order=reversed_answer,padding=1": answer_reversed(
        addition(base=3, hints=True, padding=1), width=2
    ),
    "addition_scratchpad:order=reversed_answer": answer_reversed(scratchpad()),
    "addition_scratchpad:hints=600,order=reversed_answer,padding=1": answer_reversed(
        scratchpad(hints=True, padding=1), width=2
    ),
    "subtraction:hints=600,order=reversed_answer": answer_reversed(subtraction(hints=True), width=2),
    "multiplication:digits=2,order=reversed_answer": answer_reversed(multiplication(digits=2)),
    "addition:padding=1": addition(padding=1),
    "addition:padding=3,order=reversed": addition(padding=3, reverse=True),
    "addition:hints=2": addition(hints=True),
    "addition:hints=40": addition(hints=True),
    "addition:hints=40,order=reversed": addition(hints=True, reverse=True),
    "addition:hints=600,padding=1": addition(hints=True, padding=1),
    "addition:base=2,hints=600,order=reversed,padding=2": addition(base=2, hints=True, reverse=True, padding=2),
    "addition:shorter=1": addition(shorter=1),
    "addition:shorter=30": addition(shorter=30),
    "addition:base=2,shorter=5,order=reversed": addition(base=2, reverse=True, shorter=5),
    "addition:padding=2,shorter=7": addition(padding=2, shorter=7),
    "addition:hints=600,shorter=4": addition(hints=True, shorter=4),
    "addition:hints=600,shorter=4,order=reversed,padding=3": addition(hints=True, reverse=True, padding=3, shorter=4),
    "addition_scratchpad": scratchpad(),
    "addition_scratchpad:base=2,order=reversed": scratchpad(base=2, reverse=True),
    "addition_scratchpad:base=36,padding=2": scratchpad(base=36, padding=2),
    "addition_scratchpad:hints=600": scratchpad(hints=True),
    "addition_scratchpad:hints=600,order=reversed,padding=1": scratchpad(hints=True, reverse=True, padding=1),
    "subtraction": subtraction(),
    "subtraction:base=2": subtraction(base=2),
    "subtraction:base=36,order=reversed": subtraction(base=36, reverse=True),
    "subtraction:padding=2": subtraction(),
    "subtraction:hints=1": subtraction(hints=True),
    "subtraction:hints=600": subtraction(hints=True),
    "subtraction:base=3,hints=600,order=reversed,padding=2": subtraction(base=3, hints=True, reverse=True),
    "multiplication": multiplication(),
    "multiplication:base=2": multiplication(base=2),
    "multiplication:base=36,digits=3": multiplication(base=36, digits=3),
    "multiplication:digits=2,order=reversed": multiplication(digits=2, reverse=True),
    "multiplication:digits=500": multiplication(digits=500),
    "multiplication:base=2,digits=70": multiplication(base=2, digits=70),
    "sum_modulo": sum_modulo(),
    "sum_modulo:modulus=2": sum_modulo(2),
    "sum_modulo:modulus=36": sum_modulo(36),
}
