"""Oracles of the tasks of the Chomsky hierarchy beyond the regular ones (Deletang et al. 2023)."""

import math

from oracles import Oracle


def duplicate_string(source: list[str]) -> list[str]:
    return source + source


def missing_duplicate(source: list[str]) -> list[str]:
    half, hole = len(source) // 2, source.index("_")
    return [(source[half:] + source[:half])[hole]]


def odds_first(source: list[str]) -> list[str]:
    odd = [symbol for place, symbol in enumerate(source, 1) if place % 2]
    return odd + [symbol for place, symbol in enumerate(source, 1) if not place % 2]


def copy(source: list[str]) -> list[str]:
    return list(source)


def sort(source: list[str]) -> list[str]:
    return sorted(source, key=int)


def unique(oracle: Oracle) -> Oracle:
    """Wrap an oracle and assert that no symbol of the source occurs twice."""

    def checked(source: list[str]) -> list[str]:
        assert len(set(source)) == len(source)
        return oracle(source)

    return checked


def padded(answer: list[str], size: int) -> list[str]:
    """Append the end token to an answer and mark the positions without a target."""
    return [*answer, "$", *["."] * (size - 1 - len(answer))]


def stack_manipulation(source: list[str]) -> list[str]:
    stack: list[str] = []
    for token in source:
        if token == "pop":
            del stack[-1:]
        else:
            stack.append(token[-1])
    return padded(stack[::-1], len(source) + 1)


def arithmetic(modulus: int) -> Oracle:
    """Build the oracle, which evaluates the expression in Python."""
    return lambda source: [str(eval(" ".join(source)) % modulus)]


def equation(modulus: int) -> Oracle:
    """Build the oracle, which tries every number."""

    def oracle(source: list[str]) -> list[str]:
        *left, equals, value = source
        assert equals == "="
        numbers = [str(number) for number in range(modulus)]
        tried = {x: arithmetic(modulus)([x if token == "x" else token for token in left]) for x in numbers}
        return [x for x in numbers if tried[x] == [value]]

    return oracle


def number(bits: list[str]) -> int:
    return int("".join(bits[::-1]), 2)


def binary(sign: str, places: int) -> Oracle:
    """Build the oracle with Python integers; the target has ``places`` more positions than the source."""

    def oracle(source: list[str]) -> list[str]:
        middle = source.index(sign)
        a, b = number(source[:middle]), number(source[middle + 1 :])
        assert a > 0
        assert b > 0
        return padded(list(f"{a + b if sign == '+' else a * b:b}"[::-1]), len(source) + places)

    return oracle


def compute_sqrt(source: list[str]) -> list[str]:
    assert number(source) > 0
    return list(f"{math.isqrt(number(source)):b}".zfill((len(source) + 1) // 2)[::-1])


ORACLES: dict[str, Oracle] = {
    "duplicate_string": duplicate_string,
    "duplicate_string:alphabet=26": duplicate_string,
    "missing_duplicate": missing_duplicate,
    "missing_duplicate:alphabet=26": missing_duplicate,
    "missing_duplicate:holes=2": missing_duplicate,
    "missing_duplicate:alphabet=5,holes=2": missing_duplicate,
    "odds_first": odds_first,
    "odds_first:alphabet=26": odds_first,
    "copy": copy,
    "copy:alphabet=2": copy,
    "copy:alphabet=600,unique=true": unique(copy),
    "sort": sort,
    "sort:alphabet=5": sort,
    "sort:alphabet=600,unique=true": unique(sort),
    "stack_manipulation": stack_manipulation,
    "modular_arithmetic_brackets": arithmetic(5),
    "modular_arithmetic_brackets:products=false": arithmetic(5),
    "modular_arithmetic_brackets:modulus=12": arithmetic(12),
    "solve_equation": equation(5),
    "binary_addition": binary("+", 1),
    "binary_multiplication": binary("*", 0),
    "compute_sqrt": compute_sqrt,
    "solve_equation:modulus=12": equation(12),
    "solve_equation:modulus=2": equation(2),
}
