"""Position ids follow their definitions."""

import pytest
import torch

from architectures.attention.transformer import Transformer
from architectures.language_model import LanguageModel
from architectures.linear.retnet import RetNet
from architectures.parts.position_ids import POSITION_IDS, needs_reach, scale
from architectures.parts.positions import Setting, make_encoding

CPU = torch.device("cpu")
LENGTH, REACH = 20, 64


@pytest.mark.parametrize("training", [False, True])
def test_identity_counts(training: bool) -> None:
    assert POSITION_IDS["identity"](LENGTH, 5, REACH, training, CPU).tolist() == list(range(LENGTH))


def test_offset_shifts_in_training_only() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([POSITION_IDS["offset"](LENGTH, 5, REACH, True, CPU) for _ in range(500)])
    assert (drawn.diff(dim=1) == 1).all()
    assert set(drawn[:, 0].tolist()) == set(range(REACH - LENGTH + 1))
    assert POSITION_IDS["offset"](LENGTH, 5, REACH, False, CPU).tolist() == list(range(LENGTH))
    assert POSITION_IDS["offset"](REACH + 5, 5, REACH, True, CPU).tolist() == list(range(REACH + 5))


@pytest.mark.parametrize("training", [False, True])
def test_randomized_is_a_sorted_subset_of_the_reach(training: bool) -> None:
    torch.manual_seed(0)
    for length in (1, LENGTH, REACH):
        position_ids = POSITION_IDS["randomized"](length, 5, REACH, training, CPU)
        assert len(position_ids) == length
        assert (position_ids.diff() > 0).all()
        assert position_ids.min() >= 0
        assert position_ids.max() < REACH


def test_randomized_reaches_everywhere_in_training() -> None:
    torch.manual_seed(0)
    drawn = torch.cat([POSITION_IDS["randomized"](LENGTH, 5, REACH, True, CPU) for _ in range(400)])
    share = drawn.bincount(minlength=REACH) / 400
    assert share.min() > 0.5 * LENGTH / REACH
    assert share.max() < 1.5 * LENGTH / REACH


def test_randomized_is_repeatable_in_evaluation_only() -> None:
    def draw(training: bool, seed: int) -> list[int]:
        torch.manual_seed(seed)
        return POSITION_IDS["randomized"](LENGTH, 5, REACH, training, CPU).tolist()

    assert draw(False, 0) == draw(False, 1)
    assert draw(True, 0) == draw(True, 0)
    assert draw(True, 0) != draw(True, 1)


def test_evaluation_does_not_change_the_global_generator() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    for name in POSITION_IDS:
        POSITION_IDS[name](LENGTH, 5, REACH, False, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_only_randomized_position_ids_need_reach() -> None:
    assert [name for name in POSITION_IDS if needs_reach(name)] == ["randomized"]


def test_linear_interpolates_long_sources_into_the_reach() -> None:
    linear = POSITION_IDS["linear"]
    assert linear(LENGTH, REACH, REACH, False, CPU).tolist() == list(range(LENGTH))
    interpolated = linear(2 * REACH, 2 * REACH, REACH, False, CPU)
    assert interpolated.tolist() == [index / 2 for index in range(2 * REACH)]


def test_position_ids_depend_on_the_source_length_only() -> None:
    assert scale(2 * REACH, REACH) == 2
    assert scale(REACH // 2, REACH) == 1
    linear = POSITION_IDS["linear"]
    longer, shorter = (linear(length, 100, REACH, False, CPU) for length in (150, 120))
    assert torch.equal(longer[:120], shorter)


@pytest.mark.parametrize("places", ["linear", "ntk"])
def test_interpolation_changes_long_sources_only(places: str) -> None:
    plain, interpolated = (
        LanguageModel(("a", "b"), Transformer, width=16, places=name, reach=10).double()
        for name in ("identity", places)
    )
    interpolated.load_state_dict(plain.state_dict())
    for length, same in ((10, True), (11, False)):
        source = torch.randint(2, (2, length))
        assert torch.allclose(plain(source, None), interpolated(source, None)) is same


@pytest.mark.parametrize(
    ("position", "places", "rule"),
    [
        ("alibi", "ntk", "scales the frequencies of position=rope, not of alibi; try places=linear"),
        ("learned", "linear", "fractional positions, which position=learned lacks; try places=identity"),
        ("none", "offset", "places=offset has no effect, because position=none ignores position ids; leave it out"),
        ("abacus", "randomized", "position=abacus ignores position ids"),
    ],
)
def test_an_encoding_rejects_unsupported_position_ids(position: str, places: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make_encoding(position, places, Setting(16), attends=True)


@pytest.mark.parametrize("places", ["linear", "ntk"])
def test_interpolated_position_ids_need_the_longest_source(places: str) -> None:
    rule = f"places={places} needs reach, the longest source in training, for example reach=20"
    with pytest.raises(ValueError, match=rule):
        LanguageModel(("a", "b"), Transformer, width=16, places=places)


def test_a_mixer_that_reads_position_ids_itself_supports_them() -> None:
    model = LanguageModel(("a", "b"), RetNet, width=16, places="randomized", reach=30)
    assert model.reach == 30
