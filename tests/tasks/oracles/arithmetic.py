"""Oracles of arithmetic."""

from oracles import Oracle


def addition(base: int = 10, reverse: bool = False, hints: bool = False, padding: int = 0) -> Oracle:
    """With Python's own integers."""

    def number(tokens: list[str]) -> int:
        digits = [token for token in tokens if not token.startswith("#")]
        return int("".join(digits[::-1] if reverse else digits), base)

    def write(value: int, places: int) -> list[str]:
        symbols = "0123456789abcdefghijklmnopqrstuvwxyz"
        digits = [symbols[value // base**place % base] for place in range(places)]
        return digits if reverse else digits[::-1]

    def oracle(source: list[str]) -> list[str]:
        plus = source.index("+")
        a, b = source[:plus], source[plus + 1 :]
        places = len([token for token in a if not token.startswith("#")]) + (padding == 0)
        answer = write(number(a) + number(b), places)
        if not hints:
            return answer
        known = [int(token[1:]) for token in a if token.startswith("#")]
        assert known == [int(token[1:]) for token in b if token.startswith("#")]
        first = known[0] - (padding == 0 and not reverse)
        assert known == list(range(known[0], known[0] + len(known)))
        return [token for place, digit in enumerate(answer) for token in (f"#{first + place}", digit)]

    return oracle


ORACLES: dict[str, Oracle] = {
    "addition": addition(),
    "addition:base=2": addition(base=2),
    "addition:base=36": addition(base=36),
    "addition:base=2,order=reversed": addition(base=2, reverse=True),
    "addition:order=reversed": addition(reverse=True),
    "addition:padding=1": addition(padding=1),
    "addition:padding=3,order=reversed": addition(padding=3, reverse=True),
    "addition:hints=2": addition(hints=True),
    "addition:hints=40": addition(hints=True),
    "addition:hints=40,order=reversed": addition(hints=True, reverse=True),
    "addition:hints=600,padding=1": addition(hints=True, padding=1),
    "addition:base=2,hints=600,order=reversed,padding=2": addition(base=2, hints=True, reverse=True, padding=2),
}
