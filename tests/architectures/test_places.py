"""Places are what they claim to be."""

import pytest
import torch

from architectures.attention.transformer import Transformer
from architectures.linear.retnet import RetNet
from architectures.parts.places import PLACES, needs_reach, stretch
from architectures.parts.positions import Setting, make_encoding
from architectures.shell import LanguageModel

CPU = torch.device("cpu")
LENGTH, REACH = 20, 64


@pytest.mark.parametrize("training", [False, True])
def test_identity_counts(training: bool) -> None:
    assert PLACES["identity"](LENGTH, 5, REACH, training, CPU).tolist() == list(range(LENGTH))


def test_offset_shifts_in_training_alone() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([PLACES["offset"](LENGTH, 5, REACH, True, CPU) for _ in range(500)])
    assert (drawn.diff(dim=1) == 1).all()
    assert set(drawn[:, 0].tolist()) == set(range(REACH - LENGTH + 1))
    assert PLACES["offset"](LENGTH, 5, REACH, False, CPU).tolist() == list(range(LENGTH))
    assert PLACES["offset"](REACH + 5, 5, REACH, True, CPU).tolist() == list(range(REACH + 5))


@pytest.mark.parametrize("training", [False, True])
def test_randomized_is_a_sorted_subset_of_the_reach(training: bool) -> None:
    torch.manual_seed(0)
    for length in (1, LENGTH, REACH):
        places = PLACES["randomized"](length, 5, REACH, training, CPU)
        assert len(places) == length
        assert (places.diff() > 0).all()
        assert places.min() >= 0
        assert places.max() < REACH


def test_randomized_reaches_everywhere_in_training() -> None:
    torch.manual_seed(0)
    drawn = torch.cat([PLACES["randomized"](LENGTH, 5, REACH, True, CPU) for _ in range(400)])
    share = drawn.bincount(minlength=REACH) / 400
    assert share.min() > 0.5 * LENGTH / REACH
    assert share.max() < 1.5 * LENGTH / REACH


def test_randomized_is_repeatable_in_evaluation_alone() -> None:
    def draw(training: bool, seed: int) -> list[int]:
        torch.manual_seed(seed)
        return PLACES["randomized"](LENGTH, 5, REACH, training, CPU).tolist()

    assert draw(False, 0) == draw(False, 1)
    assert draw(True, 0) == draw(True, 0)
    assert draw(True, 0) != draw(True, 1)


def test_evaluation_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    for name in PLACES:
        PLACES[name](LENGTH, 5, REACH, False, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_only_randomized_places_end() -> None:
    assert [name for name in PLACES if needs_reach(name)] == ["randomized"]


def test_linear_places_squeeze_long_sources_into_the_reach() -> None:
    linear = PLACES["linear"]
    assert linear(LENGTH, REACH, REACH, False, CPU).tolist() == list(range(LENGTH))
    squeezed = linear(2 * REACH, 2 * REACH, REACH, False, CPU)
    assert squeezed.tolist() == [place / 2 for place in range(2 * REACH)]


def test_places_know_the_source_alone() -> None:
    assert stretch(2 * REACH, REACH) == 2
    assert stretch(REACH // 2, REACH) == 1
    linear = PLACES["linear"]
    longer, shorter = (linear(length, 100, REACH, False, CPU) for length in (150, 120))
    assert torch.equal(longer[:120], shorter)


@pytest.mark.parametrize("places", ["linear", "ntk"])
def test_squeezing_changes_long_sources_alone(places: str) -> None:
    plain, squeezed = (
        LanguageModel(("a", "b"), Transformer, width=16, places=name, reach=10).double()
        for name in ("identity", places)
    )
    squeezed.load_state_dict(plain.state_dict())
    for length, same in ((10, True), (11, False)):
        source = torch.randint(2, (2, length))
        assert torch.allclose(plain(source, None), squeezed(source, None)) is same


@pytest.mark.parametrize(
    ("position", "places", "rule"),
    [
        ("alibi", "ntk", "bends the frequencies of position=rope, not of alibi; try places=linear"),
        ("learned", "linear", "between the positions that learned has; try places=identity"),
        ("none", "offset", "places=offset changes nothing, as position=none looks at no places; leave it out"),
        ("abacus", "randomized", "position=abacus looks at no places"),
    ],
)
def test_places_that_an_encoding_cannot_have(position: str, places: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make_encoding(position, places, Setting(16), attends=True)


@pytest.mark.parametrize("places", ["linear", "ntk"])
def test_squeezed_places_need_the_longest_source(places: str) -> None:
    with pytest.raises(ValueError, match=f"places={places} needs the longest source in training, for example reach=20"):
        LanguageModel(("a", "b"), Transformer, width=16, places=places)


def test_a_mixer_that_looks_at_places_itself_may_have_them() -> None:
    model = LanguageModel(("a", "b"), RetNet, width=16, places="randomized", reach=30)
    assert model.reach == 30
