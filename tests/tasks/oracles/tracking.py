"""Oracles of state tracking, and of the regular tasks that navigate or evaluate."""

from oracles import Oracle


def even_pairs(source: list[str]) -> list[str]:
    text = "".join(source)
    pairs = sum(text[i : i + 2] in ("01", "10") for i in range(len(text)))
    return [str(pairs % 2)]


def modular_arithmetic(modulus: int = 5) -> Oracle:
    """With Python's own precedence."""
    return lambda source: [str(eval("".join(source)) % modulus)]


def cycle_navigation(size: int = 5) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        place = 0
        for move in source:
            place = (place + {"0": 0, "1": 1, "2": size - 1}[move]) % size
        return [str(place)]

    return oracle


def permutations(source: list[str]) -> list[str]:
    """Follow every point on its own."""
    places, labels = list(range(1, len(source[0]) + 1)), []
    for step in source:
        places = [int(step[place - 1]) for place in places]
        labels.append("".join(map(str, places)))
    return labels


def rotations(size: int) -> Oracle:
    return lambda source: [str(sum(map(int, source[: i + 1])) % size) for i in range(len(source))]


def pairs(left: Oracle, right: Oracle) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        halves = zip(*(token.split(",") for token in source), strict=True)
        answers = (each(list(half)) for each, half in zip((left, right), halves, strict=True))
        return [",".join(both) for both in zip(*answers, strict=True)]

    return oracle


def flip_flop(source: list[str]) -> list[str]:
    labels, memory = [], "?"
    for told, bit in zip(source[::2], source[1::2], strict=True):
        memory = bit if told == "w" else memory
        assert told != "r" or bit == memory
        labels += [memory if told == "r" else ".", "."]
    return labels


def permutation_swaps(things: int = 5) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        row = [str(1 + thing) for thing in range(things)]
        for swap in source:
            a, b = (int(place) - 1 for place in swap.split("-"))
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
