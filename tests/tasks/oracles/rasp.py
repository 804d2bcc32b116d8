"""Oracles of the tasks of RASP-L."""

from collections import Counter

from oracles import Oracle


def parity_scratchpad(ones: bool = False) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        answer, odd = ["0"], False
        for hint, bit in zip(source[::2], source[1::2], strict=True):
            odd ^= bit == "1"
            if bit == "1" or not ones:
                answer += [hint, str(int(odd))]
        return answer + ["."] * (len(source) + 1 - len(answer))

    return oracle


def boolean_and(source: list[str]) -> list[str]:
    return ["0" if "0" in source else "1"]


def mode(source: list[str]) -> list[str]:
    times = Counter(source)
    return [max(times, key=lambda letter: (times[letter], letter))]


def mode_scratchpad(alphabet: int = 5) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        times = Counter(source)
        ranked = sorted(times, key=lambda letter: (times[letter], letter))
        return ranked + ["."] * (alphabet - len(ranked))

    return oracle


ORACLES: dict[str, Oracle] = {
    "parity_scratchpad": parity_scratchpad(),
    "parity_scratchpad:scratchpad=ones": parity_scratchpad(ones=True),
    "parity_scratchpad:hints=600": parity_scratchpad(),
    "parity_scratchpad:scratchpad=ones,hints=600": parity_scratchpad(ones=True),
    "boolean_and": boolean_and,
    "boolean_and:varied=true": boolean_and,
    "boolean_and:fixed=1": boolean_and,
    "mode": mode,
    "mode:alphabet=2": mode,
    "mode:alphabet=26": mode,
    "mode:scratchpad=true": mode_scratchpad(),
    "mode:scratchpad=true,alphabet=26": mode_scratchpad(26),
}
