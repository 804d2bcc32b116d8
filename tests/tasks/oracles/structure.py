"""Oracles of structure."""

from functools import partial
from statistics import median

from oracles import Oracle


def k_hop(hops: int) -> Oracle:
    """Build the oracle, which hops step by step from each position."""

    def oracle(source: list[str]) -> list[str]:
        def hop(position: int) -> int | None:
            earlier = [
                earlier_position for earlier_position in range(position) if source[earlier_position] == source[position]
            ]
            return earlier[-1] + 1 if earlier else None

        labels = []
        for start in range(len(source)):
            position: int | None = start
            for _ in range(hops):
                position = None if position is None else hop(position)
            labels.append("_" if position is None else source[position])
        return labels

    return oracle


def lego(source: list[str], last: bool = False) -> list[str]:
    """Follow the chain from the queried variable back to the constant 1."""
    clauses = [source[start : start + 5] for start in range(0, len(source) - 2, 5)]
    assert all(clause[1] == "=" and clause[4] == ";" for clause in clauses)
    assert source[-2] == "?"
    rules = {left: (sign, right) for left, _, sign, right, _ in clauses}
    assert len(rules) == len(clauses)
    sign, variable, steps = 1, source[-1], 0
    while variable != "1":
        sign *= 1 if rules[variable][0] == "+" else -1
        variable = rules[variable][1]
        steps += 1
    assert steps == len(clauses) if last else 1 <= steps <= len(clauses)
    return ["+" if sign == 1 else "-"]


def listops(source: list[str]) -> list[str]:
    """Evaluate the expression by recursive descent."""
    functions = {
        "[MIN": min,
        "[MAX": max,
        "[MED": lambda values: int(median(values)),
        "[SM": lambda values: sum(values) % 10,
    }
    rest = iter(source)

    def value(token: str) -> int:
        if token.isdigit():
            return int(token)
        arguments = []
        while (following := next(rest)) != "]":
            arguments.append(value(following))
        assert len(arguments) >= 2
        return int(functions[token](arguments))

    result = value(next(rest))
    assert next(rest, None) is None
    return [str(result)]


def automata(**options: int) -> Oracle:
    """Build the oracle: after the name, the next token unless it is a bar; at the end, the letter of the first edge."""

    def oracle(source: list[str]) -> list[str]:
        assert source[6] == "|"
        onward = legal_letters(source, **options)[-1][0]
        return ["."] * 6 + [token if token != "|" else "." for token in [*source[7:], onward]]

    return oracle


def legal_letters(
    source: list[str],
    *,
    states: int = 12,
    edges: int = 4,
    letters: int = 18,
    automata: int = 5000,
    held_out: int = False,
) -> list[list[str]]:
    """Return the letters that the automaton of the row allows after each token that follows the name, edge by edge."""

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    signed = mix(sum((ord(letter) - 97) * letters**position for position, letter in enumerate(source[:6])) + 1)
    signed -= 2**64 * (signed >= 2**63)
    key = mix(signed % automata + automata * held_out + 1)
    numbers = iter(mix((key + count * 0x9E3779B97F4A7C15) % 2**64) >> 33 for count in range(1, 10**6))

    def table(rows: int, columns: int) -> list[list[int]]:
        return [[next(numbers) for _ in range(columns)] for _ in range(rows)]

    def smallest(values: list[int]) -> list[int]:
        return sorted(range(len(values)), key=lambda index: values[index])

    used = 2 + next(numbers) % (min(states, letters) - 1)
    alphabet = smallest(table(1, letters)[0])
    degrees = [1 + number % min(used, edges) for number in table(1, states)[0]]
    choices, goals = table(states, letters), table(states, min(edges, letters))
    rules = [
        {
            chr(97 + alphabet[index]): goal % used
            for index, goal in zip(smallest(choice[:used])[:count], goals_of, strict=False)
        }
        for count, choice, goals_of in zip(degrees, choices, goals, strict=True)
    ]
    state, allowed = 0, []
    for token in source[6:]:
        state = 0 if token == "|" else rules[state][token]
        allowed.append(list(rules[state]))
    return allowed


ORACLES: dict[str, Oracle] = {
    "k_hop": k_hop(2),
    "k_hop:hops=1": k_hop(1),
    "k_hop:alphabet=26,hops=3": k_hop(3),
    "k_hop:alphabet=1,hops=5": k_hop(5),
    "lego": lego,
    "lego:order=chain": lego,
    "lego:ask=last": partial(lego, last=True),
    "lego:ask=last,order=chain": partial(lego, last=True),
    "lego:variables=600": lego,
    "lego:variables=1": lego,
    "automata": automata(),
    "automata:held_out=true": automata(held_out=True),
    "automata:automata=1,edges=1,letters=2,longest=1,states=2": automata(automata=1, edges=1, letters=2, states=2),
    "automata:edges=26,letters=26,longest=5,states=30": automata(edges=26, letters=26, states=30),
    "listops": listops,
    "listops:depth=1": listops,
    "listops:arguments=2,depth=40": listops,
    "listops:arguments=3,depth=4": listops,
}
