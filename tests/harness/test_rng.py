"""The random stream: equal to its definition in plain integers, the same however it is asked, and uniform."""

import hashlib

import pytest
import torch
from scipy.stats import chisquare, kstest

from harness.data.rng import Stream, fold_in, text_key
from tasks.splitmix import splitmix64

MASK = (1 << 64) - 1
GAMMA = 0x9E3779B97F4A7C15


def splitmix(x: int) -> int:
    """SplitMix64's finaliser on Python's unbounded integers."""
    x = ((x ^ (x >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    x = ((x ^ (x >> 27)) * 0x94D049BB133111EB) & MASK
    return x ^ (x >> 31)


def hash_in(key: int, value: int) -> int:
    return splitmix(((key ^ value) + GAMMA) & MASK)


def key_of(text: str) -> int:
    return int(hashlib.sha256(text.encode()).hexdigest()[:16], 16) >> 1


def words(seed: int, task: str, purpose: str, step: int, row: int, count: int) -> list[int]:
    """The first 31-bit words of one row."""
    key = seed & MASK
    for value in (key_of(task), key_of(purpose), step, row):
        key = hash_in(key, value)
    return [splitmix((key + n * GAMMA) & MASK) >> 33 for n in range(1, count + 1)]


def stream(
    seeds: tuple[int, ...] = (0,), task: str = "parity", purpose: str = "train", step: int = 3, rows: int = 4
) -> Stream:
    return Stream.of(seeds, task, purpose, step, rows, "cpu")


def signed(x: int) -> int:
    return x - (1 << 64) if x >> 63 else x


def test_the_hash_is_splitmix64() -> None:
    numbers = [0, 1, 2, GAMMA, MASK, 1 << 63, (1 << 63) - 1, 12345678901234567890]
    mixed = splitmix64(torch.tensor([signed(x) for x in numbers]))
    assert mixed.tolist() == [signed(splitmix(x)) for x in numbers]
    # The generator's known first output for seed 0 (Vigna's reference implementation, splitmix64.c).
    assert splitmix(GAMMA) == 0xE220A8397B1DCDAF


def test_chain_and_text_key_follow_their_definition() -> None:
    assert text_key("parity:base=2") == key_of("parity:base=2") < 1 << 63
    assert fold_in(torch.tensor([7]), 9).tolist() == [signed(hash_in(7, 9))]


@pytest.mark.parametrize("seed", [0, 1, -1, (1 << 62) + 5])
def test_bits_equal_the_plain_integer_oracle(seed: int) -> None:
    drawn = stream((5, seed), step=17).bits(6)
    expected = [words(each, "parity", "train", 17, row, 6) for each in (5, seed) for row in range(4)]
    assert drawn.tolist() == expected


def test_numbers_are_made_from_the_words() -> None:
    expected = torch.tensor([words(0, "parity", "train", 3, row, 6) for row in range(4)])
    assert torch.equal(stream().integers(10, 2, 3), (expected * 10 // 2**31).view(4, 2, 3))
    assert torch.equal(stream().uniform(6), (expected // 2**7) / 2**24)
    assert stream().permutation(6).tolist() == [sorted(range(6), key=row.__getitem__) for row in expected.tolist()]


def test_rows_do_not_depend_on_how_many_are_drawn() -> None:
    few, many = stream(rows=3), stream(rows=50)
    for _ in range(3):
        assert torch.equal(few.integers(1000, 7), many.integers(1000, 7)[:3])


def test_replicas_stand_one_after_another() -> None:
    together = stream((0, 1, 2)).bits(5)
    alone = torch.cat([stream((seed,)).bits(5) for seed in (0, 1, 2)])
    assert torch.equal(together, alone)


def test_drawing_in_parts_is_drawing_at_once() -> None:
    parts = stream()
    assert torch.equal(torch.cat((parts.bits(2), parts.bits(3)), dim=1), stream().bits(5))


@pytest.mark.parametrize(
    "other",
    [{"seeds": (1,)}, {"task": "majority"}, {"purpose": "test"}, {"step": 4}],
    ids=lambda other: next(iter(other)),
)
def test_another_key_is_other_data(other: dict) -> None:
    same = stream().bits(64) == stream(**other).bits(64)
    assert not same.any()


def test_rows_differ() -> None:
    drawn = stream(rows=1000).bits(4)
    assert len(set(map(tuple, drawn.tolist()))) == 1000


@pytest.mark.parametrize("high", [2, 3, 10, 97])
def test_integers_are_uniform(high: int) -> None:
    for drawn in (stream(rows=2000).integers(high, 50), stream(rows=100_000, step=9).integers(high, 1)):
        assert 0 <= int(drawn.min()) <= int(drawn.max()) < high
        assert chisquare(drawn.flatten().bincount(minlength=high).numpy()).pvalue > 1e-3


def test_neighbours_are_independent() -> None:
    """Pairs along a row, along the rows, along the seeds and along the steps fill the square evenly."""
    line = stream(rows=500).integers(8, 80)
    seeds = stream(tuple(range(2)), rows=20_000).integers(8, 1).view(2, -1)
    steps = [stream(step=step, rows=20_000).integers(8, 1).flatten() for step in (0, 1)]
    for left, right in ((line[:, ::2], line[:, 1::2]), (line[::2], line[1::2]), tuple(seeds), steps):
        assert chisquare((8 * left + right).flatten().bincount(minlength=64).numpy()).pvalue > 1e-3


def test_a_bound_may_be_a_tensor() -> None:
    high = torch.tensor([1, 5, 100])
    drawn = stream(rows=3000).integers(high, 3)
    assert (drawn.amin(0) == 0).all()
    assert torch.equal(drawn.amax(0), high - 1)
    per_row = torch.arange(1, 5)[:, None]
    assert (stream().integers(per_row, 40) < per_row).all()


def test_uniform_is_uniform_below_one() -> None:
    drawn = stream(rows=2000).uniform(50)
    assert drawn.dtype == torch.float32
    assert 0 <= float(drawn.min()) < float(drawn.max()) < 1
    assert kstest(drawn.flatten().numpy(), "uniform").pvalue > 1e-3


def test_permutations_are_permutations_and_uniform() -> None:
    long = stream(rows=20).permutation(300)
    assert torch.equal(long.sort(1).values, torch.arange(300).expand(20, -1))
    short = stream(rows=24_000).permutation(4) @ torch.tensor([64, 16, 4, 1])
    counts = short.unique(return_counts=True)[1]
    assert len(counts) == 24
    assert chisquare(counts.numpy()).pvalue > 1e-3
