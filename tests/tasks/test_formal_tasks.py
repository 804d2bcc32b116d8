"""Formal languages and state tracking: the distributions of sources, and the predictions that are accepted."""

from collections import Counter
from itertools import product

import pytest
import torch
from oracles import all_oracles
from oracles.formal import STAR_FREE, TOMITA, by_kind, dyck, shuffle_dyck, stack
from torch import Tensor

from harness.data.presentation import Presentation
from harness.data.rng import Stream
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_task
from tasks.base import IGNORE, Task, decode
from tasks.counting.anbn import AnBn
from tasks.counting.dyck import Dyck
from tasks.counting.interleaved_majority import InterleavedMajority
from tasks.counting.majority_alphabet import MajorityAlphabet
from tasks.counting.shuffle_dyck import ShuffleDyck
from tasks.prefix_scan import prefix_products
from tasks.regular.cycle_navigation import CycleNavigation
from tasks.regular.even_pairs import EvenPairs
from tasks.regular.modular_arithmetic import ModularArithmetic
from tasks.tracking.flip_flop import FlipFlop
from tasks.tracking.group_word import GroupWord
from tasks.tracking.permutation_swaps import PermutationSwaps

CATALOG = Catalog()
REGULAR = {f"tomita:index={index}": ("01", belongs) for index, belongs in TOMITA.items()}
REGULAR |= {f"star_free:language={name}": language for name, language in STAR_FREE.items()}
LANGUAGES = ("tomita", "star_free", "dyck", "shuffle_dyck", "anbn")
RECOGNISED = [spec for spec in all_oracles() if spec.startswith(LANGUAGES) and "ask" not in spec]


def task_of(spec: str) -> Task:
    return build_task(Spec.parse("task", spec, CATALOG))


def draw(task: Task, length: int, rows: int = 4000) -> Tensor:
    return task.sample(length, Stream.of([0], "formal", "test", length, rows, "cpu"))


def words(task: Task, length: int, rows: int = 4000) -> list[str]:
    return ["".join(decode(task.symbols, row)) for row in draw(task, length, rows)]


def share(condition: Tensor) -> float:
    return float(condition.double().mean())


@pytest.mark.parametrize("spec", RECOGNISED)
def test_half_of_the_words_belong_to_the_language(spec: str) -> None:
    task = task_of(spec)
    for index in (0, 1, 2, 20):
        source = draw(task, task.lengths[index])
        assert share(task.solve(source) == task.symbols.index("1")) == pytest.approx(0.5, abs=0.035), index


@pytest.mark.parametrize("spec", REGULAR)
def test_lengths_are_those_with_words_of_both_kinds(spec: str) -> None:
    letters, belongs = REGULAR[spec]
    kinds = {n: {belongs("".join(word)) for word in product(letters, repeat=n)} for n in range(1, 8)}
    assert [n for n in kinds if len(kinds[n]) == 2] == [n for n in task_of(spec).lengths[:8] if n < 8]


@pytest.mark.parametrize("spec", REGULAR)
def test_words_of_a_language_are_uniform(spec: str) -> None:
    letters, belongs = REGULAR[spec]
    task = task_of(f"{spec},ask=sets")
    length = task.lengths[2]
    expected = {"".join(word) for word in product(letters, repeat=length) if belongs("".join(word))}
    counts = Counter(words(task, length))
    assert set(counts) == expected
    spread = sum((counts[word] - 4000 / len(expected)) ** 2 for word in expected) * len(expected) / 4000
    assert spread < len(expected) + 5 * (2 * len(expected)) ** 0.5


@pytest.mark.parametrize("spec", REGULAR)
def test_half_of_the_regular_words_are_near_misses(spec: str) -> None:
    """A near miss is one letter away from a word of the opposite kind."""
    letters, belongs = REGULAR[spec]
    task = task_of(spec)

    def near(word: str) -> bool:
        changed = (word[:i] + letter + word[i + 1 :] for i in range(len(word)) for letter in letters)
        return any(belongs(variant) != belongs(word) for variant in changed)

    kinds: dict[bool, list[bool]] = {True: [], False: []}
    for word in words(task, task.lengths[20], 1000):
        kinds[belongs(word)].append(near(word))
    assert sum(kinds[False]) / len(kinds[False]) > 0.4
    if not spec.endswith("contains"):
        assert any(kinds[True])


@pytest.mark.parametrize("spec", ["dyck:kinds=1,depth=3", "dyck:kinds=2,depth=2", "dyck:depth=0", "dyck:depth=1"])
def test_every_dyck_word_is_drawn(spec: str) -> None:
    task = task_of(f"{spec},ask=sets")
    assert isinstance(task, Dyck)
    every = map("".join, product("()[]"[: 2 * task.kinds], repeat=6))
    assert set(words(task, 6)) == {word for word in every if dyck(word, task.depth)}


def test_every_shuffle_is_drawn() -> None:
    every = map("".join, product("()[]", repeat=6))
    assert set(words(ShuffleDyck(ask="sets"), 6, 20_000)) == {word for word in every if shuffle_dyck(word)}


def test_depths_reach_the_bound_and_keep_it() -> None:
    def deepest(word: str) -> int:
        return max(len(stack(word[:end], 0) or "") for end in range(len(word)))

    depths = [deepest(word) for word in words(Dyck(depth=5, ask="sets"), 200, 200)]
    assert max(depths) == 5
    assert depths.count(5) > 150


@pytest.mark.parametrize("task", [Dyck(), ShuffleDyck()], ids=["dyck", "shuffle_dyck"])
def test_half_of_the_corrupted_words_keep_their_counts(task: Dyck | ShuffleDyck) -> None:
    length = 30
    word = task.draw(length, Stream.of([0], "formal", "test", 0, 2000, "cpu"))
    corrupted = task.corrupt(word, Stream.of([0], "formal", "corrupt", 0, 2000, "cpu"))
    distance = (word != corrupted).sum(1)
    assert not task.is_member(corrupted).any()
    assert set(distance.tolist()) == {1, 2}
    assert share(distance == 2) == pytest.approx(0.5, abs=0.1)
    words_of_exchange = ["".join(decode(task.symbols, row)) for row in corrupted[distance == 2]]
    assert all(
        part.count(a) == part.count(b) for text in words_of_exchange for part in by_kind(text) for a, b in ("()", "[]")
    )


def test_half_of_the_other_words_of_anbn_are_uneven_blocks() -> None:
    task = AnBn(letters=3)
    others = [word for word in words(task, 30) if word != "a" * 10 + "b" * 10 + "c" * 10]
    sizes = [tuple(map(word.count, "abc")) for word in others if list(word) == sorted(word)]
    assert len(sizes) / len(others) == pytest.approx(0.5, abs=0.08)
    assert {size - 10 for blocks in sizes for size in blocks} == set(range(-10, 11))


def test_prefixes_of_anbn_are_of_every_block() -> None:
    blocks = Counter(word.count("a") for word in words(AnBn(ask="sets"), 10))
    assert set(blocks) == set(range(5, 11))
    assert min(blocks.values()) > 4000 / 6 - 150


@pytest.mark.parametrize("name", LANGUAGES)
def test_next_accepts_all_that_may_come_and_nothing_else(name: str) -> None:
    labelled, task = task_of(f"{name}:ask=sets"), task_of(f"{name}:ask=next")
    presentation = Presentation(task)
    source = draw(task, task.lengths[10], 50)
    assert torch.equal(source, draw(labelled, task.lengths[10], 50))
    legal = [[set(label.split("|")) for label in decode(labelled.symbols, row)] for row in labelled.solve(source)]
    target = task.solve(source)
    for index, symbol in enumerate(presentation.symbols):
        correct, counted = presentation.grade(source, target, torch.full_like(source, index))
        assert counted.all()
        assert correct.tolist() == [[symbol in symbols for symbols in row] for row in legal]
    assert presentation.grade(source, target, target)[0].all()


def test_only_labels_that_reveal_later_tokens_are_for_online_models() -> None:
    revealing = {name for name in (*LANGUAGES, "flip_flop", "group_word") if task_of(name).online}
    assert revealing == {"flip_flop"}
    assert all(task_of(f"{name}:ask=next").online and not task_of(f"{name}:ask=sets").online for name in LANGUAGES)


@pytest.mark.parametrize("ignore", [0.1, 0.8, 0.98])
def test_flip_flop_has_its_rates(ignore: float) -> None:
    task = FlipFlop(ignore=ignore)
    source = draw(task, 200, 2000)
    instructions, bits = source[:, ::2], source[:, 1::2]
    assert (
        share(instructions[:, 0] == task.symbols.index("w"))
        == share(instructions[:, -1] == task.symbols.index("r"))
        == 1
    )
    rates = {symbol: share(instructions[:, 1:-1] == task.symbols.index(symbol)) for symbol in "wir"}
    rest = pytest.approx((1 - ignore) / 2, abs=0.004)
    assert rates == {"w": rest, "i": pytest.approx(ignore, abs=0.004), "r": rest}
    assert all(
        share(bits[instructions == task.symbols.index(symbol)]) == pytest.approx(0.5, abs=0.05) for symbol in "wir"
    )
    assert torch.equal(task.solve(source)[:, ::2] != IGNORE, instructions == task.symbols.index("r"))


@pytest.mark.parametrize(
    ("group", "order", "commutes"),
    [
        ("s3", 6, False),
        ("s4", 24, False),
        ("s5", 120, False),
        ("a4", 12, False),
        ("a5", 60, False),
        ("z60", 60, True),
        ("a4xz5", 60, False),
        ("z2xz3", 6, True),
        ("s3xz2xz2", 24, False),
    ],
)
def test_groups_are_groups(group: str, order: int, commutes: bool) -> None:
    table, every = GroupWord(group=group).table, torch.arange(order)
    assert table.shape == (order, order)
    assert torch.equal(table[0], every)
    assert torch.equal(table[:, 0], every)
    assert all(torch.equal(side.sort(1).values, every.expand(order, -1)) for side in (table, table.T))
    a, b, c = (torch.randint(order, (500,), generator=torch.Generator().manual_seed(seed)) for seed in range(3))
    assert torch.equal(table[table[a, b], c], table[a, table[b, c]])
    assert torch.equal(table, table.T) == commutes


def test_generators_are_what_words_consist_of() -> None:
    swaps = GroupWord(group="s4", generators="transpositions")
    symbols = {symbol for row in draw(swaps, 20, 50) for symbol in decode(swaps.symbols, row)}
    assert symbols == {"2134", "1324", "1243", "3214", "1432", "4231"}
    assert len(draw(GroupWord(group="s4"), 20, 50).unique()) == 24


@pytest.mark.parametrize("task", [GroupWord(), PermutationSwaps(), CycleNavigation()], ids=["word", "swaps", "cycle"])
def test_final_states_are_spread(task: Task) -> None:
    """After many steps no state is much likelier than another."""
    last = task.solve(draw(task, 40))[:, -1]
    shares = torch.bincount(last).double() / len(last)
    assert float(shares[shares > 0].max()) < 1.7 / int((shares > 0).sum())


def test_even_pairs_is_balanced() -> None:
    assert all(share(EvenPairs().solve(draw(EvenPairs(), n))) == pytest.approx(0.5, abs=0.03) for n in (2, 3, 40))


def test_expressions_alternate_and_are_uniform() -> None:
    task = ModularArithmetic()
    source = draw(task, 9)
    assert torch.bincount(source[:, ::2].flatten()).tolist() == pytest.approx([4000] * 5, rel=0.06)
    assert torch.bincount(source[:, 1::2].flatten())[5:].tolist() == pytest.approx([16000 / 3] * 3, rel=0.06)


@pytest.mark.parametrize("length", [3, 6, 60])
def test_interleaved_majorities_are_balanced(length: int) -> None:
    task = InterleavedMajority()
    assert task.solve(draw(task, length)).double().mean(0).tolist() == pytest.approx([0.5] * 3, abs=0.03)


@pytest.mark.parametrize("length", [1, 2, 30])
def test_every_letter_wins_alone_and_equally_often(length: int) -> None:
    task = MajorityAlphabet(alphabet=4)
    source = draw(task, length)
    counts = torch.stack([(source == letter).sum(1) for letter in range(4)], dim=1).sort(1).values
    assert bool((counts[:, -1] > counts[:, -2]).all())
    assert torch.bincount(task.solve(source)[:, 0]).tolist() == pytest.approx([1000] * 4, rel=0.12)


@pytest.mark.parametrize("length", [1, 2, 3, 7, 8, 33])
def test_prefixes_multiply_in_order(length: int) -> None:
    """Matrix products do not commute."""
    factors = torch.randn(2, length, 3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    result, running = prefix_products(torch.matmul, factors), torch.eye(3, dtype=torch.float64).expand(2, 3, 3)
    for position in range(length):
        running = running @ factors[:, position]
        assert torch.allclose(result[:, position], running)
