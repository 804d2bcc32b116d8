"""Position encodings equal their papers and an independent implementation; places are what they claim to be."""

import math

import pytest
import torch
from forms import assert_close
from torch import Tensor

from architectures.parts.places import PLACES, needs_reach
from architectures.parts.positions import ENCODINGS, make_encoding
from architectures.parts.positions.alibi import slopes
from architectures.parts.positions.sinusoidal import sinusoids

CPU = torch.device("cpu")
LENGTH, REACH = 20, 64
PLACED = torch.tensor([0, 1, 5, 6, 40])


def spelled_out(position: int, width: int) -> list[float]:
    """One row of the table, entry by entry."""
    row = []
    for channel in range(width):
        angle = position / 10000 ** (2 * (channel // 2) / width)
        row.append(math.cos(angle) if channel % 2 else math.sin(angle))
    return row


@pytest.mark.parametrize("width", [1, 6, 7])
def test_sinusoids_are_the_papers(width: int) -> None:
    expected = torch.tensor([spelled_out(position, width) for position in PLACED.tolist()])
    torch.testing.assert_close(sinusoids(PLACED, width), expected, rtol=0, atol=1e-5)


def test_sinusoids_are_added_to_the_embeddings() -> None:
    x = torch.randn(2, len(PLACED), 6, dtype=torch.float64)
    added = make_encoding("sinusoidal", 6, 0).embed(x, PLACED) - x
    assert_close([added], [sinusoids(PLACED, 6).expand_as(x)])


def test_rope_equals_hugging_face() -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    torch.manual_seed(0)
    q, k = torch.randn(2, 3, 4, len(PLACED), 16)
    theirs = LlamaRotaryEmbedding(LlamaConfig(hidden_size=64, num_attention_heads=4, head_dim=16))
    cos, sin = theirs(q, PLACED[None])
    rope = make_encoding("rope", 64, 0)
    ours = [rope.rotate(x, PLACED) for x in (q, k)]
    assert_close(ours, apply_rotary_pos_emb(q, k, cos, sin))


def scores(positions: Tensor) -> Tensor:
    """The scores of one query vector against one key vector, at all pairs of positions."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8).expand(-1, 1, 1, len(positions), 8)
    rope = make_encoding("rope", 8, 0)
    return (rope.rotate(q, positions) @ rope.rotate(k, positions).mT)[0, 0]


def test_rope_scores_depend_on_the_distance_alone() -> None:
    near = scores(torch.arange(6))
    torch.testing.assert_close(scores(torch.arange(6) + 500), near, rtol=0, atol=1e-3)
    for distance in range(-5, 6):
        diagonal = near.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)
    assert len({round(float(near[0, each]), 3) for each in range(6)}) == 6


def test_rope_keeps_lengths_and_the_first_position() -> None:
    x = torch.randn(2, 3, len(PLACED), 8, dtype=torch.float64)
    turned = make_encoding("rope", 8, 0).rotate(x, PLACED)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)
    assert torch.equal(turned[:, :, 0], x[:, :, 0])


def test_alibi_slopes_are_the_papers() -> None:
    eight = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    every_other_of_sixteen = [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    assert torch.equal(slopes(8), torch.tensor(eight))
    assert torch.equal(slopes(12), torch.tensor(eight + every_other_of_sixteen))


def test_alibi_penalises_distance() -> None:
    bias = make_encoding("alibi", 8, 0).bias(8, PLACED[-1:], PLACED)
    assert bias.shape == (8, 1, len(PLACED))
    assert bias[0, 0].tolist() == [-20.0, -19.5, -17.5, -17.0, 0.0]
    assert bias[7, 0, 0].item() == -40 / 256


def test_learned_positions_are_rows_of_a_table() -> None:
    torch.manual_seed(0)
    learned = make_encoding("learned", 6, REACH)
    x = torch.zeros(2, len(PLACED), 6, requires_grad=True)
    out = learned.embed(x, PLACED)
    assert torch.equal(out[1], learned.table.weight[PLACED])
    out.sum().backward()
    touched = learned.table.weight.grad.abs().sum(1).nonzero().flatten()
    assert torch.equal(touched, PLACED)
    assert learned.table.weight.std().item() == pytest.approx(0.02, rel=0.2)


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_acts_in_one_place(name: str) -> None:
    encoding, x = make_encoding(name, 8, REACH), torch.randn(2, 2, len(PLACED), 8)
    acts = {
        "embed": not torch.equal(encoding.embed(x[0], PLACED), x[0]),
        "rotate": not torch.equal(encoding.rotate(x, PLACED), x),
        "bias": encoding.bias(2, PLACED, PLACED) is not None,
    }
    where = {"none": [], "sinusoidal": ["embed"], "learned": ["embed"], "rope": ["rotate"], "alibi": ["bias"]}[name]
    assert [hook for hook, does in acts.items() if does] == where
    assert encoding.in_attention is bool({"rotate", "bias"} & set(where))


@pytest.mark.parametrize("training", [False, True])
def test_identity_counts(training: bool) -> None:
    assert PLACES["identity"](LENGTH, REACH, training, CPU).tolist() == list(range(LENGTH))


def test_offset_shifts_in_training_alone() -> None:
    torch.manual_seed(0)
    drawn = torch.stack([PLACES["offset"](LENGTH, REACH, True, CPU) for _ in range(500)])
    assert (drawn.diff(dim=1) == 1).all()
    assert set(drawn[:, 0].tolist()) == set(range(REACH - LENGTH + 1))
    assert PLACES["offset"](LENGTH, REACH, False, CPU).tolist() == list(range(LENGTH))
    assert PLACES["offset"](REACH + 5, REACH, True, CPU).tolist() == list(range(REACH + 5))


@pytest.mark.parametrize("training", [False, True])
def test_randomized_is_a_sorted_subset_of_the_reach(training: bool) -> None:
    torch.manual_seed(0)
    for length in (1, LENGTH, REACH):
        places = PLACES["randomized"](length, REACH, training, CPU)
        assert len(places) == length
        assert (places.diff() > 0).all()
        assert places.min() >= 0
        assert places.max() < REACH


def test_randomized_reaches_everywhere_in_training() -> None:
    torch.manual_seed(0)
    drawn = torch.cat([PLACES["randomized"](LENGTH, REACH, True, CPU) for _ in range(400)])
    share = drawn.bincount(minlength=REACH) / 400
    assert share.min() > 0.5 * LENGTH / REACH
    assert share.max() < 1.5 * LENGTH / REACH


def test_randomized_is_repeatable_in_evaluation_alone() -> None:
    def draw(training: bool, seed: int) -> list[int]:
        torch.manual_seed(seed)
        return PLACES["randomized"](LENGTH, REACH, training, CPU).tolist()

    assert draw(False, 0) == draw(False, 1)
    assert draw(True, 0) == draw(True, 0)
    assert draw(True, 0) != draw(True, 1)


def test_evaluation_leaves_the_global_generator_alone() -> None:
    torch.manual_seed(0)
    before = torch.random.get_rng_state()
    for name in PLACES:
        PLACES[name](LENGTH, REACH, False, CPU)
    assert torch.equal(torch.random.get_rng_state(), before)


def test_only_randomized_places_end() -> None:
    assert [name for name in PLACES if needs_reach(name)] == ["randomized"]
