"""Structure tasks: depths and balance of the sources, and the letters that an automaton allows."""

import pytest
import torch
from oracles.structure import legal_letters
from scipy import stats

from harness.data.rng import Stream
from tasks.base import IGNORE, decode
from tasks.splitmix import hash_words
from tasks.structure.automata import NAME, Automata
from tasks.structure.k_hop import KHop
from tasks.structure.lego import Lego
from tasks.structure.listops import CLOSE, Listops


def stream(rows: int) -> Stream:
    return Stream.of([0], "structure", "test", 0, rows, "cpu")


def is_uniform(values: torch.Tensor, size: int) -> bool:
    """Return whether values are uniform (chi-square test at the level 0.001)."""
    return bool(stats.chisquare(values.flatten().bincount(minlength=size).numpy()).pvalue > 1e-3)


@pytest.mark.parametrize(("depth", "arguments"), [(1, 2), (2, 10), (9, 10), (64, 3)])
def test_listops_keeps_its_limits(depth: int, arguments: int) -> None:
    """Only the outermost operation has more arguments than allowed, and the bounds of both options are reached."""
    source = Listops(depth=depth, arguments=arguments).sample(80, stream(400))
    deepest, most = 0, 0
    for row in source.tolist():
        counts: list[int] = []
        for position, token in enumerate(row):
            if token == CLOSE:
                if len(counts) > 1:
                    most = max(most, counts[-1])
                assert counts.pop() >= 2
                assert bool(counts) == (position < len(row) - 1)
                continue
            if counts:
                counts[-1] += 1
            if token < CLOSE:
                counts.append(0)
                deepest = max(deepest, len(counts))
        assert not counts
    assert deepest == depth if depth < 20 else 9 < deepest <= depth
    assert most == (arguments if depth > 1 else 0)


def test_listops_answers_vary_and_depth_grows_with_length() -> None:
    task = Listops()
    depths = []
    for length in (10, 50, 250):
        source = task.sample(length, stream(1_000))
        shares = task.solve(source).flatten().bincount(minlength=15)[5:] / 1_000
        assert float(shares.min()) > 0.02
        assert float(shares.max()) < 0.35
        depths.append(
            float(((source < CLOSE).long().cumsum(1) - (source == CLOSE).long().cumsum(1)).amax(1).float().mean())
        )
    assert depths == sorted(depths)
    assert depths[2] > depths[0] + 2


def test_listops_draws_operations_and_digits_alike() -> None:
    source = Listops().sample(60, stream(2_000))
    assert is_uniform(source[source < CLOSE], 4)
    assert is_uniform(source[source > CLOSE] - CLOSE - 1, 10)


def test_lego_is_balanced_in_any_order() -> None:
    task = Lego(variables=20)
    source = task.sample(6, stream(6_000))
    assert is_uniform(task.solve(source) - 21, 2)
    assert is_uniform(source[:, -1], 20)
    queried = (source[:, 3:-2:5] == source[:, -1:]).any(1)
    assert 0.8 < float(queried.float().mean()) < 0.87  # of six variables, five occur on a right side
    starts = (source[:, 3:-2:5] == 20).byte().argmax(1)
    assert is_uniform(starts, 6)
    ordered = Lego(variables=20, order="chain").sample(6, stream(100))
    assert torch.equal(ordered[:, 8:-2:5], ordered[:, 0:-7:5])


def test_k_hop_is_balanced_where_it_has_an_answer() -> None:
    task = KHop()
    labels = task.solve(task.sample(64, stream(2_000)))
    late = labels[:, 32:].flatten().bincount(minlength=5) / (2_000 * 32)
    assert float(late[4]) < 0.01
    assert float((late[:4] - 0.25).abs().max()) < 0.01


@pytest.mark.parametrize("held_out", [False, True])
@pytest.mark.parametrize(("states", "edges", "letters"), [(12, 4, 18), (5, 9, 4), (2, 1, 2)])
def test_any_legal_letter_is_right(states: int, edges: int, letters: int, held_out: bool) -> None:
    """Every letter is graded at every position and compared with an independent implementation of the automaton."""
    task = Automata(states=states, edges=edges, letters=letters, longest=9, automata=50, held_out=held_out)
    source = task.sample(30, stream(12))
    target = task.solve(source)
    tried = [task.grade(source, target, torch.full_like(target, token)) for token in range(letters + 3)]
    accepted = torch.stack([correct for correct, _ in tried], dim=-1)
    assert not bool(accepted[..., letters:].any())
    for row, right in zip(source, accepted, strict=True):
        tokens = list(decode(task.symbols, row))
        allowed = legal_letters(tokens, states=states, edges=edges, letters=letters, automata=50, held_out=held_out)
        for position, letters_allowed in enumerate(allowed, start=NAME):
            assert {task.symbols[index] for index in right[position].nonzero().flatten().tolist()} == set(
                letters_allowed
            )
            assert position + 1 == len(tokens) or tokens[position + 1] in {*letters_allowed, "|"}
    assert bool((tried[0][1] == (target != IGNORE)).all())


def test_automata_take_their_edges_uniformly() -> None:
    task = Automata()
    source = task.sample(40, stream(1_500))
    target = task.solve(source)
    legal = torch.stack(
        [task.grade(source, target, torch.full_like(target, letter))[0] for letter in range(18)], dim=-1
    )
    counted = target != IGNORE
    rank = (legal.long().cumsum(-1) - 1)[counted].gather(1, target[counted][:, None])[:, 0]
    for choices in (2, 3, 4):
        assert is_uniform(rank[legal[counted].sum(-1) == choices], choices)
    assert set(legal[counted].sum(-1).tolist()) == {1, 2, 3, 4}


def test_strings_are_as_long_as_stated() -> None:
    source = Automata(longest=4).sample(300, stream(300))
    sizes = [len(string) for row in source for string in "".join(decode(Automata().symbols, row)).split("|")[1:-1]]
    assert is_uniform(torch.tensor(sizes) - 1, 4)


def test_held_out_automata_are_others() -> None:
    """With one automaton in each set, the same names lead to different strings."""
    usual, held_out_rows = (
        Automata(automata=1, held_out=held_out).sample(60, stream(50)) for held_out in (False, True)
    )
    assert torch.equal(usual[:, :NAME], held_out_rows[:, :NAME])
    grades = Automata(automata=1, held_out=True)
    target = grades.solve(usual)
    correct, counted = grades.grade(usual, target, target)
    assert float(correct[counted].float().mean()) < 0.6


def test_hashes_are_uniform() -> None:
    assert is_uniform(hash_words(torch.arange(400), 50) % 7, 7)
    assert is_uniform(hash_words(torch.arange(400), 50) >> 28, 8)
