"""Recall tasks: positions, gaps, repetitions and answers have the stated distributions."""

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from harness.data.rng import Stream
from tasks.base import IGNORE, Task
from tasks.recall._distinct import complement, draw_subset, shuffle
from tasks.recall.associative_recall import AssociativeRecall
from tasks.recall.fuzzy_recall import FuzzyRecall
from tasks.recall.induction_heads import InductionHeads
from tasks.recall.mqar import Mqar
from tasks.recall.ngram_lookup import NgramLookup
from tasks.recall.noisy_recall import NoisyRecall
from tasks.recall.selective_copying import SelectiveCopying


def stream(rows: int) -> Stream:
    return Stream.of([0], "recall", "test", 0, rows, "cpu")


def answers_of(task: Task, length: int, rows: int) -> Tensor:
    """Return all answer tokens of some sources, long ``[n]``."""
    answers = task.solve(task.sample(length, stream(rows)))
    return answers[answers != IGNORE]


def is_law(observed: Tensor, law: np.ndarray) -> bool:
    """Return whether counts fit a distribution (chi-square test at the level 0.001)."""
    counts = observed.numpy()
    return bool(stats.chisquare(counts, law / law.sum() * counts.sum()).pvalue > 1e-3)


def is_uniform(values: Tensor, size: int) -> bool:
    return is_law(values.flatten().bincount(minlength=size), np.ones(size))


def test_subsets_are_uniform() -> None:
    subsets = draw_subset(stream(20_000), 6, 3)
    assert bool((subsets[:, 1:] > subsets[:, :-1]).all())
    assert is_uniform(torch.unique(subsets, dim=0, return_inverse=True)[1], 20)
    assert draw_subset(stream(3), 4, 4).tolist() == [[0, 1, 2, 3]] * 3


def test_others_are_the_complement() -> None:
    chosen = draw_subset(stream(200), 10, 4)
    rest = complement(chosen, torch.arange(6).expand(200, 6))
    assert torch.cat((chosen, rest), dim=1).sort(dim=1).values.tolist() == [list(range(10))] * 200


def test_shuffles_are_uniform() -> None:
    orders = shuffle(stream(12_000), torch.arange(3).expand(12_000, 3))
    assert is_uniform(torch.unique(orders, dim=0, return_inverse=True)[1], 6)


def gaps(task: Mqar, length: int, rows: int) -> Tensor:
    """Return the slot of every key's query, in the order of the pairs, long ``[rows, pairs]``."""
    source = task.sample(length, stream(rows))
    keys, rest = source[:, : 2 * task.pairs : 2], source[:, 2 * task.pairs :]
    matches = rest[:, None] == keys[..., None]  # [B, pairs, rest]
    assert bool((matches.sum(-1) == 1).all())
    position = matches.byte().argmax(-1)
    assert bool((position % 2 == 0).all())
    return position // 2


@pytest.mark.parametrize("power", [0.01, 0.5, 1.0])
def test_gaps_of_mqar_follow_the_power_law(power: float) -> None:
    """The first key draws from all slots, the others from the remaining ones, as numpy does without replacement."""
    slots = gaps(Mqar(pairs=3, power=power), 46, 20_000)
    law = power * np.arange(1, 21) ** (power - 1.0)
    law /= law.sum()
    assert is_law(slots[:, 0].bincount(minlength=20), law)
    second = np.array([sum(law[i] * law[j] / (1 - law[i]) for i in range(20) if i != j) for j in range(20)])
    assert is_law(slots[:, 1].bincount(minlength=20), second)
    draw = np.random.default_rng(0)
    third = [draw.choice(20, size=3, replace=False, p=law)[2] for _ in range(20_000)]
    both = np.stack([slots[:, 2].bincount(minlength=20).numpy(), np.bincount(third, minlength=20)])
    assert stats.chi2_contingency(both).pvalue > 1e-3


def test_mqar_is_balanced_and_fills_gaps_without_its_keys() -> None:
    task = Mqar(pairs=4, keys=8, values=8)
    source = task.sample(40, stream(4_000))
    assert is_uniform(answers_of(task, 40, 4_000) - task.keys, task.values)
    assert is_uniform(source[:, 0:8:2], task.keys)
    filler = source[:, 9::2]  # the second token of every slot is never a query
    assert is_law(filler.flatten().bincount(minlength=16), np.repeat([0.5, 1.0], 8))  # half of the keys have pairs
    assert not bool((filler[..., None] == source[:, None, 0:8:2]).any())


def test_mqar_can_leave_gaps_blank() -> None:
    task = Mqar(pairs=4, filler="blank")
    rest = task.sample(40, stream(50))[:, 8:]
    assert rest.unique(return_counts=True)[1][-1] == 50 * 28
    assert bool(((rest == 128) | (rest < 64)).all())


def test_associative_recall_asks_every_key_alike() -> None:
    task = AssociativeRecall(keys=5, values=4)
    source = task.sample(12, stream(8_000))
    assert is_uniform(source[:, 0:24:2], 5)
    assert is_uniform(source[:, -1], 5)
    assert is_uniform(task.solve(source) - 5, 4)
    few = task.sample(3, stream(6_000))
    mixed = few[(few[:, 0] == few[:, 2]) & (few[:, 0] != few[:, 4])]
    assert float((mixed[:, -1] == mixed[:, 0]).float().mean()) == pytest.approx(0.5, abs=0.05)


def test_the_mark_of_induction_heads_is_anywhere() -> None:
    task = InductionHeads()
    source = task.sample(20, stream(8_000))
    assert is_uniform((source == task.mark).byte().argmax(1), 18)
    assert is_uniform(task.solve(source), 15)


@pytest.mark.parametrize("length", [16, 17, 60])
def test_selective_copying_puts_its_data_anywhere(length: int) -> None:
    task = SelectiveCopying()
    source = task.sample(length, stream(4_000))
    data = source != task.noise
    assert bool((data.sum(1) == 16).all())
    share = data.float().mean(0)
    assert float((share - 16 / length).abs().max()) < 0.035
    assert is_uniform(source[data], 15)
    neighbours = (data[:, :-1] & data[:, 1:]).float().mean()
    assert float(neighbours) == pytest.approx(16 * 15 / (length * (length - 1)), abs=0.01)


def test_selective_copying_reaches_a_million_tokens() -> None:
    task = SelectiveCopying()
    source = task.sample(1 << 20, stream(2))
    assert torch.equal(task.solve(source), source[source != task.noise].view(2, 16))


@pytest.mark.parametrize("key", ["prefix", "suffix"])
def test_the_ngram_occurs_once_where_it_can(key: str) -> None:
    task = NgramLookup(key=key, n=2, alphabet=4)  # type: ignore[arg-type]
    source = task.sample(20, stream(500))
    ngram, string = (source[:, :2], source[:, 3:]) if key == "prefix" else (source[:, -2:], source[:, :-3])
    pairs = 4 * string[:, :-2] + string[:, 1:-1]  # one letter has to follow
    wanted = 4 * ngram[:, :1] + ngram[:, 1:]
    counts = torch.nn.functional.one_hot(pairs, 16).sum(1)
    possible = (counts == 1).any(1)
    assert 0.9 < float(possible.float().mean()) <= 1
    assert bool(((pairs == wanted).sum(1) == 1)[possible].all())


def test_ngram_lookup_asks_at_every_place() -> None:
    task = NgramLookup()
    source = task.sample(12, stream(8_000))
    matches = (source[:, :9] == source[:, -3:-2]) & (source[:, 1:10] == source[:, -2:-1])
    assert is_uniform(matches.byte().argmax(1), 9)
    assert is_uniform(task.solve(source), 26)


@pytest.mark.parametrize("noise", [0.0, 0.2, 0.8])
def test_noisy_recall_has_its_share_of_noise(noise: float) -> None:
    task = NoisyRecall(noise=noise)
    source = task.sample(202, stream(500))
    noisy = source[:, 0:200:2] >= 16
    assert bool((noisy == (source[:, 1:200:2] >= 16)).all())
    assert float(noisy.float().mean()) == pytest.approx(0.99 * noise, abs=0.01)
    assert is_uniform(source[:, 0:200:2][~noisy], 8)
    assert bool((task.solve(source)[:, -2] != IGNORE).all())


def test_fuzzy_recall_draws_sizes_and_symbols_alike() -> None:
    task = FuzzyRecall()
    source = task.sample(24, stream(6_000))
    keys = source[:, -3:] < task.keys
    sizes = keys.flip(1).cumprod(1).sum(1)
    assert is_uniform(sizes - 1, 3)
    assert is_uniform(source[:, -1], 7)
    long = source[sizes == 3][:, -3:]
    assert bool((long[:, 0] != long[:, 1]).all() & (long[:, 0] != long[:, 2]).all() & (long[:, 1] != long[:, 2]).all())
    answers = task.solve(source)
    assert is_uniform((answers != IGNORE).sum(1) - 1, 3)
    assert is_uniform(answers[:, 0] - 7, 7)
