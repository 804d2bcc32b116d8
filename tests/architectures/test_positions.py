"""Position encodings equal their papers and independent implementations."""

import math

import pytest
import torch
from equivalence import assert_close
from torch import Tensor

from architectures.base import Context
from architectures.parts.positions import ENCODINGS, Encoding, Setting, make_encoding
from architectures.parts.positions.abacus import FARTHEST_OFFSET, digit_positions
from architectures.parts.positions.alibi import slopes
from architectures.parts.positions.rope import rotate
from architectures.parts.positions.sinusoidal import sinusoids

REACH = 64
PLACED = torch.tensor([0, 1, 5, 6, 40])


def encoding_of(name: str, width: int, heads: int = 1, symbols: str = "ab") -> Encoding:
    """Return an encoding in which parameters that start at zero have small random values."""
    torch.manual_seed(0)
    made = make_encoding(name, "identity", Setting(width, heads, REACH, tuple(symbols)), attends=True)
    for parameter in made.parameters():
        parameter.data.add_(0.1 * torch.randn_like(parameter))
    return made


def at(places: Tensor, tokens: Tensor | None = None, *, training: bool = False) -> Context:
    """Return the context of a stream whose tokens have these positions."""
    tokens = torch.zeros(1, len(places), dtype=torch.long) if tokens is None else tokens
    return Context(tokens, places, len(places), training=training)


def spelled_out(position: int, width: int) -> list[float]:
    """Return one row of the sinusoidal table, computed entry by entry."""
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
    added = encoding_of("sinusoidal", 6).embed(x, at(PLACED)) - x
    assert_close([added], [sinusoids(PLACED, 6).expand_as(x)])


def test_rope_equals_hugging_face() -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding, apply_rotary_pos_emb

    torch.manual_seed(0)
    q, k = torch.randn(2, 3, 4, len(PLACED), 16)
    theirs = LlamaRotaryEmbedding(LlamaConfig(hidden_size=64, num_attention_heads=4, head_dim=16))
    cos, sin = theirs(q, PLACED[None])
    rope = encoding_of("rope", 64)
    ours = [rope.query(q, at(PLACED)), rope.key(k, at(PLACED))]
    assert_close(ours, apply_rotary_pos_emb(q, k, cos, sin))


def scores(positions: Tensor) -> Tensor:
    """Return the scores of one query vector and one key vector at all pairs of positions."""
    torch.manual_seed(0)
    q, k = torch.randn(2, 1, 1, 1, 8).expand(-1, 1, 1, len(positions), 8)
    return (rotate(q, positions) @ rotate(k, positions).mT)[0, 0]


def test_rope_scores_depend_on_the_distance_alone() -> None:
    near = scores(torch.arange(6))
    torch.testing.assert_close(scores(torch.arange(6) + 500), near, rtol=0, atol=1e-3)
    for distance in range(-5, 6):
        diagonal = near.diagonal(distance)
        torch.testing.assert_close(diagonal, diagonal[:1].expand_as(diagonal), rtol=0, atol=1e-5)
    assert len({round(float(near[0, each]), 3) for each in range(6)}) == 6


def test_rope_keeps_lengths_and_the_first_position() -> None:
    x = torch.randn(2, 3, len(PLACED), 8, dtype=torch.float64)
    turned = rotate(x, PLACED)
    torch.testing.assert_close(turned.norm(dim=-1), x.norm(dim=-1), rtol=1e-6, atol=0)
    assert torch.equal(turned[:, :, 0], x[:, :, 0])


def test_alibi_slopes_are_the_papers() -> None:
    eight = [1 / 2, 1 / 4, 1 / 8, 1 / 16, 1 / 32, 1 / 64, 1 / 128, 1 / 256]
    every_other_of_sixteen = [2**-0.5, 2**-1.5, 2**-2.5, 2**-3.5]
    assert torch.equal(slopes(8), torch.tensor(eight))
    assert torch.equal(slopes(12), torch.tensor(eight + every_other_of_sixteen))


def test_alibi_penalises_distance() -> None:
    bias = encoding_of("alibi", 8).bias(torch.zeros(1, 8, 1, 1), PLACED, at(PLACED[-1:]))
    assert bias.shape == (8, 1, len(PLACED))
    assert bias[0, 0].tolist() == [-20.0, -19.5, -17.5, -17.0, 0.0]
    assert bias[7, 0, 0].item() == -40 / 256


def test_learned_positions_are_rows_of_a_table() -> None:
    torch.manual_seed(0)
    learned = make_encoding("learned", "identity", Setting(6, reach=REACH), attends=False)
    x = torch.zeros(2, len(PLACED), 6, requires_grad=True)
    out = learned.embed(x, at(PLACED))
    assert torch.equal(out[1], learned.table.weight[PLACED])
    out.sum().backward()
    touched = learned.table.weight.grad.abs().sum(1).nonzero().flatten()
    assert torch.equal(touched, PLACED)
    assert learned.table.weight.std().item() == pytest.approx(0.02, rel=0.2)


def test_ntk_equals_hugging_face() -> None:
    pytest.importorskip("transformers")
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    parameters = {"rope_type": "dynamic", "rope_theta": 10000.0, "factor": 1.0}
    config = LlamaConfig(head_dim=16, max_position_embeddings=32, rope_parameters=parameters)
    frequencies, _ = ROPE_INIT_FUNCTIONS["dynamic"](config, torch.device("cpu"), seq_len=96)
    unit = torch.cat((torch.ones(8), torch.zeros(8))).expand(1, 1, 2, 16)
    turned = rotate(unit, torch.tensor([0, 1]), scale=3.0)[0, 0, 1]
    assert_close([turned], [torch.cat((frequencies.cos(), frequencies.sin()))])


@pytest.mark.parametrize("both_ways", [False, True])
def test_t5_equals_hugging_face(both_ways: bool) -> None:
    pytest.importorskip("transformers")
    from transformers import T5Config
    from transformers.models.t5.modeling_t5 import T5Attention

    relative = T5Attention._relative_position_bucket
    places = torch.arange(300)
    away = places[None, :] - places[:, None]
    known = T5Config()
    theirs = relative(away, True, 2 * known.relative_attention_num_buckets, known.relative_attention_max_distance)
    t5 = encoding_of("t5", 8, heads=4)
    table, bias = t5.table.weight.detach(), t5.bias(torch.zeros(1, 4, 300, 2), places, at(places))
    # They put the keys after a query into the upper half as well, with the same buckets on either side.
    expected = table[theirs].permute(2, 0, 1)
    if not both_ways:
        causal = relative(away, False, known.relative_attention_num_buckets, known.relative_attention_max_distance)
        expected, bias = table[causal].permute(2, 0, 1).tril(), bias.tril()
    assert_close([bias], [expected])


@torch.no_grad()
def test_transformer_xl_is_the_papers_sum() -> None:
    heads, each = 2, 4
    xl = encoding_of("transformer_xl", heads * each, heads).double()
    q, k = torch.randn(2, 1, heads, len(PLACED), each, dtype=torch.float64)
    asked = xl.query(q, at(PLACED))
    bias = xl.bias(asked, PLACED, at(PLACED))
    ours = asked @ k.mT / math.sqrt(each) + bias
    for h in range(heads):
        u, v = xl.content[h, 0], xl.place[h, 0]
        into = xl.distance.weight.unflatten(0, (heads, each))[h]  # [E, D]
        for i, here in enumerate(PLACED.tolist()):
            for j, there in enumerate(PLACED.tolist()):
                r = into @ torch.tensor(spelled_out(here - there, heads * each), dtype=torch.float64)
                wanted = (q[0, h, i] + u) @ k[0, h, j] + (q[0, h, i] + v) @ r
                assert float(ours[0, h, i, j] * math.sqrt(each)) == pytest.approx(float(wanted), abs=1e-5)


@torch.no_grad()
def test_fire_is_the_papers_function() -> None:
    fire = encoding_of("fire", 8, heads=3).double()
    fire.threshold.data.fill_(20 / 512)
    bias = fire.bias(torch.zeros(1, 3, len(PLACED), 2, dtype=torch.float64), PLACED, at(PLACED))
    c = abs(float(fire.scale))
    for i, here in enumerate(PLACED.tolist()):
        for j, there in enumerate(PLACED.tolist()[: i + 1]):
            x = math.log(c * (here - there) + 1) / math.log(c * max(here, 20) + 1)
            wanted = fire.network(torch.tensor([x], dtype=torch.float64))
            assert_close([bias[:, i, j]], [wanted])


def test_fire_interpolates() -> None:
    fire = encoding_of("fire", 8).double()
    fire.threshold.data.zero_()
    far = fire.bias(torch.zeros(1, 1, 1, 2, dtype=torch.float64), torch.tensor([0]), at(torch.tensor([10**6])))
    near = fire.bias(torch.zeros(1, 1, 1, 2, dtype=torch.float64), torch.tensor([0]), at(torch.tensor([3])))
    assert_close([far], [near])


def test_abacus_counts_digits_within_their_numbers() -> None:
    stream = "12+305=a7"
    digit = torch.tensor([[each in "0123456789" for each in stream]])
    assert digit_positions(digit).tolist() == [[1, 2, 0, 1, 2, 3, 0, 0, 1]]
    symbols = "".join(dict.fromkeys(stream))
    tokens = torch.tensor([[symbols.index(each) for each in stream]])
    abacus = encoding_of("abacus", 6, symbols=symbols)
    x = torch.zeros(1, len(stream), 6)
    added = abacus.embed(x, at(torch.arange(len(stream)), tokens))
    assert torch.equal(added, abacus.table.weight[digit_positions(digit)])


def test_abacus_shifts_places_in_training_alone() -> None:
    abacus, tokens = encoding_of("abacus", 6, symbols="0+"), torch.tensor([[0, 0, 1, 0]])
    context, seen = at(torch.arange(4), tokens, training=True), set()
    for _ in range(400):
        added = abacus.embed(torch.zeros(1, 4, 6), context)[0]
        rows = [int((abacus.table.weight == each).all(1).nonzero()) for each in added]
        assert rows[2] == 0
        assert rows[1] == rows[0] + 1
        assert rows[3] == rows[0]
        seen.add(rows[0] - 1)
    assert seen == set(range(min(REACH - 4, FARTHEST_OFFSET)))


ACTS = {
    "none": [],
    "sinusoidal": ["embed"],
    "learned": ["embed"],
    "abacus": ["embed"],
    "rope": ["query", "key"],
    "alibi": ["bias"],
    "t5": ["bias"],
    "transformer_xl": ["query", "bias"],
    "fire": ["bias"],
}


@pytest.mark.parametrize("name", ENCODINGS)
def test_an_encoding_acts_where_it_says(name: str) -> None:
    encoding, x, context = encoding_of(name, 8, heads=2), torch.randn(2, 2, len(PLACED), 4), at(PLACED)
    embedded = torch.randn(1, len(PLACED), 8)
    acts = {
        "embed": not torch.equal(encoding.embed(embedded, context), embedded),
        "query": not torch.equal(encoding.query(x, context), x),
        "key": not torch.equal(encoding.key(x, context), x),
        "bias": encoding.bias(x, PLACED, context) is not None,
    }
    assert [hook for hook, does in acts.items() if does] == ACTS[name]
    assert encoding.in_attention is bool({"query", "key", "bias"} & set(ACTS[name]))


def test_only_single_digits_are_digits() -> None:
    setting = Setting(6, symbols=("0", "12", "01", "", "a", "9"), reach=8)
    digits = make_encoding("abacus", "identity", setting, attends=False).is_digit
    assert digits.tolist() == [True, False, False, False, False, True]


def test_t5_starts_small() -> None:
    torch.manual_seed(0)
    table = make_encoding("t5", "identity", Setting(64, heads=8), attends=True).table
    assert table.weight.std().item() == pytest.approx(1 / 8, rel=0.1)


def test_fire_is_finite_where_its_threshold_is_gone() -> None:
    fire = encoding_of("fire", 8)
    fire.threshold.data.zero_()
    assert fire.bias(torch.zeros(1, 1, 3, 2), torch.arange(3), at(torch.arange(3))).isfinite().all()
