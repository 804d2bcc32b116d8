"""The encoder-decoder transformer equals torch's layers, its steps equal forward, and its decoder is causal."""

import math

import library
import pytest
import torch
import torch.nn.functional as F
from equivalence import assert_close
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.transformer_encdec import TransformerEncDec
from architectures.base import state_bytes
from architectures.parts.attention import merge_heads
from architectures.parts.kernels import replicas_ride_along
from architectures.parts.positions.sinusoidal import sinusoids

SYMBOLS = ("a", "b", "c", "<start>", "<end>", "<blank>", "<think>")
BLANK = SYMBOLS.index("<blank>")
ROWS, WIDTH, HEADS, DEPTH = 2, 16, 4, 2
LENGTHS = [(1, 1), (2, 63), (64, 65), (65, 64), (200, 2), (63, 200)]
both_norms = pytest.mark.parametrize("norm", ["post", "pre"])


def make(norm: str = "post", kernel: str = "auto", seed: int = 0, **options: object) -> TransformerEncDec:
    torch.manual_seed(seed)
    sizes = {"width": WIDTH, "heads": HEADS, "depth": DEPTH}
    model = TransformerEncDec(SYMBOLS, norm=norm, kernel=kernel, **sizes, **options).double()
    for name, parameter in model.named_parameters():
        if "norm" in name:
            nn.init.normal_(parameter, mean=1.0)
    return model


def tokens(length: int, *front: int) -> Tensor:
    return torch.randint(len(SYMBOLS), (*(front or (ROWS,)), length))


def torchs(model: TransformerEncDec, norm: str, source: Tensor, prefix: Tensor) -> Tensor:
    """The logits of torch's encoder and decoder with this model's weights."""
    frame = {"dropout": 0.0, "batch_first": True, "norm_first": norm == "pre", "dtype": torch.float64}
    ends = [nn.LayerNorm(WIDTH, dtype=torch.float64) if norm == "pre" else None for _ in range(2)]
    reading = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, **frame)
    writing = nn.TransformerDecoderLayer(WIDTH, HEADS, 4 * WIDTH, **frame)
    encoder = nn.TransformerEncoder(reading, DEPTH, ends[0], enable_nested_tensor=False)
    decoder = nn.TransformerDecoder(writing, DEPTH, ends[1])
    read = library.named("norm", library.linear(model.encoder_norm))
    write = library.named("norm", library.linear(model.decoder_norm))
    for index, layer in enumerate(model.encoder):
        norms = [layer.attending.norm, layer.feeding.norm]
        weights = library.layer({"self_attn": layer.attention}, layer.feed_forward, norms)
        read |= library.named(f"layers.{index}", weights)
    for index, layer in enumerate(model.decoder):
        norms = [layer.attending.norm, layer.crossing.norm, layer.feeding.norm]
        parts = {"self_attn": layer.attention, "multihead_attn": layer.cross}
        write |= library.named(f"layers.{index}", library.layer(parts, layer.feed_forward, norms))
    inputs = [
        F.embedding(each, model.embedding.weight) * math.sqrt(WIDTH) + sinusoids(torch.arange(each.shape[1]), WIDTH)
        for each in (source, prefix)
    ]
    mask = nn.Transformer.generate_square_subsequent_mask(prefix.shape[1], dtype=torch.float64)
    encoded = functional_call(encoder, read, (inputs[0],), strict=True)
    out = functional_call(decoder, write, (inputs[1], encoded), {"tgt_mask": mask}, strict=True)
    return out @ model.embedding.weight.T


@both_norms
@pytest.mark.parametrize("kernel", ["math", "flash"])
@pytest.mark.parametrize(("source", "prefix"), LENGTHS)
def test_equals_torchs_layers(source: int, prefix: int, kernel: str, norm: str) -> None:
    model, streams = make(norm, kernel), (tokens(source), tokens(prefix))
    ours, theirs = model(*streams), torchs(model, norm, *streams)
    assert_close([ours], [theirs])
    probe, parameters = torch.randn_like(ours), list(model.parameters())
    mine, known = (torch.autograd.grad((out * probe).sum(), parameters) for out in (ours, theirs))
    assert_close(mine, known)


@both_norms
@pytest.mark.parametrize("source", [1, 9])
def test_steps_equal_forward(source: int, norm: str) -> None:
    model, source, prefix = make(norm), tokens(source), tokens(12)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    assert_close([torch.stack(logits, dim=1)], [model(source, prefix)])


def test_decoding_in_pieces_equals_forward() -> None:
    model, source, prefix = make(), tokens(5), tokens(12)
    state, logits = model.start(source), []
    for piece in prefix.split([4, 1, 7], dim=1):
        out, state = model.decode(piece, state)
        logits.append(out)
    assert_close([torch.cat(logits, dim=1)], [model(source, prefix)])


@both_norms
def test_sees_all_of_the_source_and_no_later_answer(norm: str) -> None:
    model, source, prefix = make(norm), tokens(7), tokens(9)
    logits = model(source, prefix)
    for cut in range(1, 9):
        later = torch.cat((prefix[:, :cut], (prefix[:, cut:] + 1) % len(SYMBOLS)), dim=1)
        assert_close([model(source, later)[:, :cut]], [logits[:, :cut]])
        assert not torch.allclose(model(source, later)[:, cut], logits[:, cut])
    for place in range(7):
        changed = source.clone()
        changed[:, place] = (changed[:, place] + 1) % len(SYMBOLS)
        assert not torch.allclose(model(changed, prefix)[:, 0], logits[:, 0])


@pytest.mark.parametrize(("symbols", "blank"), [(SYMBOLS, BLANK), (("a", "b", "c"), 2)])
def test_tags_by_decoding_blanks(symbols: tuple[str, ...], blank: int) -> None:
    model, source = TransformerEncDec(symbols, width=WIDTH), torch.randint(3, (ROWS, 6))
    assert torch.equal(model(source, None), model(source, torch.full_like(source, blank)))


@both_norms
@pytest.mark.parametrize("kernel", ["math", "flash"])
def test_population_equals_singles(kernel: str, norm: str) -> None:
    models = [make(norm, kernel, seed) for seed in range(3)]
    source, prefix = tokens(5, 3, ROWS), tokens(7, 3, ROWS)
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, *streams: functional_call(models[0], weights, streams))(stacked, source, prefix)
    together.square().sum().backward()
    for index, model in enumerate(models):
        alone = model(source[index], prefix[index])
        alone.square().sum().backward()
        assert_close([together[index]], [alone])
        known = dict(model.named_parameters())
        assert_close([stacked[name].grad[index] for name in known], [p.grad for p in known.values()])


@both_norms
def test_inspected_weights_are_those_of_the_forward(norm: str) -> None:
    model, source, prefix = make(norm), tokens(7), tokens(5)
    weights = model.inspect(source, prefix)
    assert {name: list(each.shape) for name, each in weights.items()} == {
        f"cross {index}": [ROWS, HEADS, 5, 7] for index in (1, 2)
    }
    assert_close([each.sum(-1) for each in weights.values()], [torch.ones(ROWS, HEADS, 5).double()] * 2)
    _, [(memory, past), _] = model.start(source)
    layer = model.decoder[0]
    x, _ = layer.attend(model.embed(prefix), past)
    by_hand = layer.cross.out(merge_heads(weights["cross 1"] @ memory[1]))
    x = layer.crossing.add_residual(x, by_hand)
    fed = layer.feeding.add_residual(x, layer.feed_forward(layer.feeding.prepare(x)))
    assert_close([fed], [layer.attend_source(layer.attend(model.embed(prefix), past)[0], memory)])
    assert [each.shape[-2:] for each in model.inspect(source, None).values()] == [(7, 7)] * 2


def test_the_state_is_the_source_and_a_growing_past() -> None:
    model, source = make(), tokens(7)
    state, sizes = model.start(source), []
    for token in tokens(3).unbind(1):
        sizes.append(state_bytes(state))
        _, state = model.step(token, state)
    key_and_value = 2 * ROWS * WIDTH * 8 * DEPTH
    assert sizes == [key_and_value * (7 + time) for time in range(3)]


def test_one_matrix_embeds_and_answers() -> None:
    model = make()
    outside = {name for name, _ in model.named_parameters() if not name.startswith(("encoder.", "decoder."))}
    assert outside == {"embedding.weight"}
    wide, places = TransformerEncDec(tuple("abcdefgh"), width=512), torch.arange(8)
    assert (wide.embed(places[None]) - sinusoids(places, 512)).var().item() == pytest.approx(1, rel=0.1)


def test_dropout_is_for_training() -> None:
    model, streams = make(dropout=0.5), (tokens(5), tokens(5))
    assert not torch.equal(model(*streams), model(*streams))
    model.eval()
    assert torch.equal(model(*streams), model(*streams))


def test_width_must_divide_into_heads() -> None:
    with pytest.raises(ValueError, match=r"width=10 must be a multiple of 4 \(heads=4\); the nearest is 8"):
        TransformerEncDec(SYMBOLS, width=10)
