"""Oracles of state tracking, and of the regular tasks that navigate or evaluate."""

from oracles import Oracle


def even_pairs(source: list[str]) -> list[str]:
    text = "".join(source)
    pairs = sum(text[i : i + 2] in ("01", "10") for i in range(len(text)))
    return [str(pairs % 2)]


def modular_arithmetic(modulus: int = 5) -> Oracle:
    """Build the oracle, which evaluates the expression with the precedence of Python."""
    return lambda source: [str(eval("".join(source)) % modulus)]


def cycle_navigation(size: int = 5) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        position = 0
        for move in source:
            position = (position + {"0": 0, "1": 1, "2": size - 1}[move]) % size
        return [str(position)]

    return oracle


def permutations(source: list[str]) -> list[str]:
    """Apply the permutations to each point separately."""
    positions, labels = list(range(1, len(source[0]) + 1)), []
    for step in source:
        positions = [int(step[position - 1]) for position in positions]
        labels.append("".join(map(str, positions)))
    return labels


def rotations(size: int) -> Oracle:
    return lambda source: [str(sum(map(int, source[: i + 1])) % size) for i in range(len(source))]


def pairs(left: Oracle, right: Oracle) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        halves = zip(*(token.split(",") for token in source), strict=True)
        answers = (oracle_of(list(half)) for oracle_of, half in zip((left, right), halves, strict=True))
        return [",".join(both) for both in zip(*answers, strict=True)]

    return oracle


def flip_flop(source: list[str]) -> list[str]:
    labels, memory = [], "?"
    for instruction, bit in zip(source[::2], source[1::2], strict=True):
        memory = bit if instruction == "w" else memory
        assert instruction != "r" or bit == memory
        labels += [memory if instruction == "r" else ".", "."]
    return labels


def permutation_swaps(things: int = 5) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        row = [str(1 + thing) for thing in range(things)]
        for swap in source:
            a, b = (int(position) - 1 for position in swap.split("-"))
            row[a], row[b] = row[b], row[a]
        return row

    return oracle


ORACLES: dict[str, Oracle] = {
    "even_pairs": even_pairs,
    "modular_arithmetic": modular_arithmetic(),
    "modular_arithmetic:modulus=2": modular_arithmetic(2),
    "modular_arithmetic:modulus=97,operators=+*": modular_arithmetic(97),
    "modular_arithmetic:operators=+-": modular_arithmetic(),
    "modular_arithmetic:modulus=10,operators=+": modular_arithmetic(10),
    "cycle_navigation": cycle_navigation(),
    "cycle_navigation:size=2": cycle_navigation(2),
    "cycle_navigation:size=12": cycle_navigation(12),
    "group_word": permutations,
    "group_word:group=s3": permutations,
    "group_word:group=s4": permutations,
    "group_word:group=a4": permutations,
    "group_word:group=a5": permutations,
    "group_word:group=z2": rotations(2),
    "group_word:group=z60": rotations(60),
    "group_word:group=a4xz5": pairs(permutations, rotations(5)),
    "group_word:group=z2xs3": pairs(rotations(2), permutations),
    "group_word:group=s5,generators=transpositions": permutations,
    "flip_flop": flip_flop,
    "flip_flop:ignore=0.1": flip_flop,
    "flip_flop:ignore=0.98": flip_flop,
    "permutation_swaps": permutation_swaps(),
    "permutation_swaps:things=2": permutation_swaps(2),
    "permutation_swaps:things=9": permutation_swaps(9),
}
