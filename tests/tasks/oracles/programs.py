"""Oracles of tasks that execute instructions, search graphs, look up words or store a table."""

from collections import defaultdict, deque
from itertools import product

from oracles import Oracle


def chunks(tokens: list[str], size: int) -> list[list[str]]:
    assert len(tokens) % size == 0
    return [tokens[start : start + size] for start in range(0, len(tokens), size)]


def hash_words(key: int, count: int) -> list[int]:
    """Return words of SplitMix64 in Python's integers."""

    def mix(x: int) -> int:
        x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9 % 2**64
        x = (x ^ x >> 27) * 0x94D049BB133111EB % 2**64
        return x ^ x >> 31

    return [mix((key + word * 0x9E3779B97F4A7C15) % 2**64) >> 33 for word in range(1, count + 1)]


def memorization(facts: int = 64, values: int = 16, table: int = 0) -> Oracle:
    learned = [f"v{word % values}" for word in hash_words(table, facts)]
    return lambda source: [label for key, _ in chunks(source, 2) for label in (".", learned[int(key[1:])])]


def random_machine(rows: list[str], every: bool = False) -> Oracle:
    """Build the oracle from the table, which is written out: for each letter the next state of each state."""

    def oracle(source: list[str]) -> list[str]:
        states, state = [], 0
        for letter in source:
            state = int(rows[ord(letter) - ord("a")][state])
            states.append(f"s{state}")
        return states if every else states[-1:]

    return oracle


def n_back(n: int) -> Oracle:
    return lambda source: ["." if place < n else source[place - n] for place in range(len(source))]


def multi_token_recall(source: list[str]) -> list[str]:
    """Read the row as text: words, colons and question marks."""
    context, *queries = "".join(source).replace("_", " ").split("?")
    size = len(queries[0])
    letters = context.replace(" ", "")
    pairs = [letters[start : start + 2 * size + 1].split(":") for start in range(0, len(letters), 2 * size + 1)]
    values = dict(pairs)
    assert len(values) == len(pairs) == context.count(" ")
    assert len(set(queries)) == len(queries)
    return list("".join(values[query] for query in queries))


def joint_recall(source: list[str]) -> list[str]:
    *records, context, key = source
    values = {(where, what): value for where, what, value in chunks(records, 3)}
    assert len(values) == len(records) // 3
    return [values[context, key]]


def needle(source: list[str]) -> list[str]:
    text, _, key = " ".join(source).rpartition(" ? ")
    assert text.count(f"{key} =") == 1
    return text.split(f"{key} = ")[1].split(" ;")[0].split()


def many_stacks(source: list[str]) -> list[str]:
    stacks: dict[str, list[str]] = defaultdict(list)
    labels = []
    for instruction, stack, item in chunks(source, 3):
        labels += [".", ".", stacks[stack].pop() if instruction == "pop" else "."]
        if instruction == "push":
            stacks[stack].append(item)
    assert labels[-1] != "."
    return labels


def variable_assignments(modulus: int = 5, every: bool = False) -> Oracle:
    def oracle(source: list[str]) -> list[str]:
        values: dict[str, int] = defaultdict(int)
        *lines, mark, asked = source
        assigned, labels = set(), []
        for left, _, right, _, digit, _ in chunks(lines, 6):
            values[left] = (values[right] * (right != "_") + int(digit)) % modulus
            assigned.add(left)
            labels += ["."] * 5 + [str(values[left])]
        assert mark == "?"
        assert asked in assigned
        return [*labels, ".", "."] if every else [str(values[asked])]

    return oracle


def search(source: list[str]) -> tuple[dict[str, list[str]], str]:
    """Return the path to every node that can be reached from the first queried one, and the second."""
    *edges, mark, start, goal = source
    assert mark == "?"
    neighbours = defaultdict(list)
    for one, other, _ in chunks(edges, 3):
        neighbours[one].append(other)
        neighbours[other].append(one)
    assert {start, goal} <= set(neighbours)
    paths, queue = {start: [start]}, deque([start])
    while queue:
        node = queue.popleft()
        for neighbour in neighbours[node]:
            if neighbour not in paths:
                paths[neighbour] = [*paths[node], neighbour]
                queue.append(neighbour)
    return paths, goal


def tree_path(source: list[str]) -> list[str]:
    paths, goal = search(source)
    nodes = len(source) // 3  # one more than edges, which have three tokens as the query has
    assert len(paths) == nodes
    return paths[goal] + ["."] * (nodes - len(paths[goal]))


def reachability(source: list[str]) -> list[str]:
    paths, goal = search(source)
    assert len(paths) == (len(source) // 3 + 1) // 2
    return ["yes" if goal in paths else "no"]


def modular_regression(dimension: int = 2, modulus: int = 5) -> Oracle:
    """Build the oracle, which tries all linear functions: those that fit the examples must agree on the last input."""

    def oracle(source: list[str]) -> list[str]:
        def value(function: tuple[int, ...], digits: list[str]) -> int:
            return sum(weight * int(digit) for weight, digit in zip(function, digits, strict=True)) % modulus

        examples = chunks(source[:-dimension], dimension + 3)
        functions = [
            function
            for function in product(range(modulus), repeat=dimension)
            if all(value(function, example[:dimension]) == int(example[-2]) for example in examples)
        ]
        (answer,) = {value(function, source[-dimension:]) for function in functions}
        return [str(answer)]

    return oracle


TABLE = ["31102", "23042", "00423", "30411", "04313"]

ORACLES: dict[str, Oracle] = {
    "memorization": memorization(),
    "memorization:facts=3,table=7,values=2": memorization(3, 2, 7),
    "random_machine": random_machine(TABLE),
    "random_machine:ask=every": random_machine(TABLE, every=True),
    "random_machine:letters=2,states=2": random_machine(["01", "10"]),
    "n_back": n_back(2),
    "n_back:alphabet=2,n=1": n_back(1),
    "n_back:n=9": n_back(9),
    "multi_token_recall": multi_token_recall,
    "multi_token_recall:alphabet=3,letters=4,queries=1": multi_token_recall,
    "multi_token_recall:letters=1,queries=16": multi_token_recall,
    "joint_recall": joint_recall,
    "joint_recall:contexts=2,keys=2,values=2": joint_recall,
    "needle": needle,
    "needle:distractors=0,keys=1,letters=1": needle,
    "needle:distractors=15,letters=5": needle,
    "many_stacks": many_stacks,
    "many_stacks:push=0.2,stacks=1": many_stacks,
    "many_stacks:push=0.9,stacks=64": many_stacks,
    "variable_assignments": variable_assignments(),
    "variable_assignments:ask=every": variable_assignments(every=True),
    "variable_assignments:constants=0,modulus=13,variables=9": variable_assignments(13),
    "tree_path": tree_path,
    "tree_path:names=500": tree_path,
    "reachability": reachability,
    "reachability:names=200": reachability,
    "modular_regression": modular_regression(),
    "modular_regression:dimension=4,modulus=3": modular_regression(4, 3),
    "modular_regression:dimension=1,modulus=2": modular_regression(1, 2),
}
