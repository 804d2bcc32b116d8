"""Attention: all forms agree with each other and with torch's layers; steps, populations, causality and errors."""

from dataclasses import replace

import library
import pytest
import torch
from equivalence import DTYPES, LENGTHS, assert_close, assert_same, with_gradients
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.transformer import Transformer
from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.parts import attention
from architectures.parts.attention import MultiHead, attend, attention_weights, merge_heads, split_heads
from architectures.parts.kernels import KernelMissing, flash_attn, replicas_ride_along, sdpa
from architectures.parts.kernels.sdpa import KERNEL as FLASH

ROWS, WIDTH, HEADS, DEPTH = 2, 16, 4, 2
KERNELS = ["math", "flash"]
POSITIONS = ["none", "sinusoidal", "learned", "rope", "alibi"]
SYMBOLS = ("a", "b", "c", "d")


def qkv(queries: int, keys: int, dtype: torch.dtype = torch.float64) -> list[Tensor]:
    torch.manual_seed(queries)
    return [torch.randn(ROWS, HEADS, length, WIDTH // HEADS, dtype=dtype) for length in (queries, keys, keys)]


def make(position: str = "rope", kernel: str = "auto", seed: int = 0) -> LanguageModel:
    torch.manual_seed(seed)
    options = {"heads": HEADS, "kernel": kernel}
    return LanguageModel(SYMBOLS, Transformer, options, width=WIDTH, depth=DEPTH, position=position).double()


def tokens(length: int, *front: int) -> Tensor:
    return torch.randint(len(SYMBOLS), (*(front or (ROWS,)), length))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_flash_equals_math(length: int, dtype: torch.dtype, causal: bool) -> None:
    fast, plain = (lambda q, k, v, form=form: attend(q, k, v, causal=causal, kernel=form) for form in ("flash", "math"))
    assert_same(fast, plain, qkv(length, length, dtype))


def test_flash_takes_any_strides() -> None:
    """Strides may differ: for example, rotated heads of two channels are stored transposed."""
    turned = [x.mT.contiguous().mT for x in qkv(9, 9)]
    assert turned[0].stride(-1) != 1
    expected = attend(*turned, causal=True, kernel="math")
    torch.testing.assert_close(attend(*turned, causal=True, kernel="flash"), expected)


@pytest.mark.parametrize("kernel", KERNELS)
def test_causal_queries_are_the_last_positions(kernel: str) -> None:
    q, k, v = qkv(7, 7)
    whole = attend(q, k, v, causal=True, kernel="math")
    assert_close([attend(q[:, :, -1:], k, v, causal=True, kernel=kernel)], [whole[:, :, -1:]])
    assert_close([attend(q[:, :, -3:], k, v, causal=True)], [whole[:, :, -3:]])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_multi_head_equals_torch(length: int, dtype: torch.dtype, kernel: str, causal: bool) -> None:
    torch.manual_seed(length)
    part, theirs = MultiHead(WIDTH, HEADS, kernel).to(dtype), nn.MultiheadAttention(WIDTH, HEADS, batch_first=True)
    mask = nn.Transformer.generate_square_subsequent_mask(length, dtype=dtype) if causal else None
    x, source = (torch.randn(ROWS, length, WIDTH, dtype=dtype, requires_grad=True) for _ in range(2))
    ours = part(part.queries(x), part.memorize(source), causal=causal)
    call = {"attn_mask": mask, "need_weights": False}
    known, _ = functional_call(theirs, library.multi_head(part), (x, source, source), call, strict=True)
    assert_close([ours], [known])
    probe, inputs = torch.randn_like(known), [x, source, *part.parameters()]
    assert_close(*(torch.autograd.grad((out * probe).sum(), inputs) for out in (ours, known)))


def test_bias_is_added_to_the_scores() -> None:
    q, k, v = qkv(5, 9)
    bias = torch.randn(HEADS, 5, 9, dtype=torch.float64)

    def known(*inputs: Tensor) -> Tensor:
        return nn.functional.scaled_dot_product_attention(*inputs[:3], attn_mask=inputs[3])

    assert_same(lambda q, k, v, b: attend(q, k, v, bias=b), known, [q, k, v, bias])


@pytest.mark.parametrize("length", [1, 65])
def test_layer_equals_torchs_encoder_layer(length: int) -> None:
    model = make("none")
    layer, x = model.layers[0], torch.randn(ROWS, length, WIDTH, dtype=torch.float64)
    theirs = nn.TransformerEncoderLayer(
        WIDTH, HEADS, 4 * WIDTH, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
    )
    norms = [layer.mixing.norm, layer.feeding.norm]
    weights = library.layer({"self_attn": layer.mixer.attention}, layer.feed_forward, norms)
    call = {"src_mask": nn.Transformer.generate_square_subsequent_mask(length, dtype=torch.float64)}
    _, context = model.begin(tokens(length), None)
    ours, known = layer(x, context), functional_call(theirs, weights, (x,), call, strict=True)
    assert_close([ours], [known])
    probe, parameters = torch.randn_like(known), list(layer.parameters())
    assert_close(*(torch.autograd.grad((out * probe).sum(), parameters) for out in (ours, known)))


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("position", POSITIONS)
def test_steps_equal_forward(position: str, kernel: str) -> None:
    if (position, kernel) == ("alibi", "flash"):
        pytest.skip("flash takes no bias")
    model, source, prefix = make(position, kernel), tokens(40), tokens(25)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    assert_close([torch.stack(logits, dim=1)], [model(source, prefix)])


def test_the_cache_grows_by_a_key_and_a_value_a_step() -> None:
    mixer = make().layers[0].mixer
    x, context = make().begin(tokens(1), None)
    state, sizes = mixer.start(ROWS, x), []
    for _ in range(3):
        sizes.append(state_bytes(state))
        _, state = mixer.step(x[:, 0], state, context)
    key_and_value, place = 2 * ROWS * WIDTH * 8, 8
    assert sizes == [time * (key_and_value + place) for time in range(3)]


@pytest.mark.parametrize("position", POSITIONS)
def test_later_tokens_change_nothing_earlier(position: str) -> None:
    model, stream = make(position), tokens(65)
    logits = model(stream, None)
    for cut in (1, 33, 64):
        changed = torch.cat((stream[:, :cut], (stream[:, cut:] + 1) % len(SYMBOLS)), dim=1)
        after = model(changed, None)
        assert torch.equal(after[:, :cut], logits[:, :cut])
        assert not torch.allclose(after[:, cut:], logits[:, cut:])


@pytest.mark.parametrize("position", ["rope", "alibi"])
def test_only_distances_count(position: str) -> None:
    model, stream = make(position), tokens(9)
    x, context = model.begin(stream, None)
    mixer, far = model.layers[0].mixer, replace(context, positions=context.positions + 100)
    out = mixer(x, context)
    assert_close([mixer(x, far)], [out], tolerance=1e-4)  # RoPE's angles are float32
    assert not torch.allclose(mixer(x, replace(context, positions=2 * context.positions)), out, atol=1e-3)


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("length", [1, 65])
def test_population_equals_singles(length: int, kernel: str) -> None:
    models, stream = [make(kernel=kernel, seed=seed) for seed in range(3)], tokens(length, 3, ROWS)
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, x: functional_call(models[0], weights, (x, None)))(stacked, stream)
    together.square().sum().backward()
    for index, model in enumerate(models):
        alone = model(stream[index], None)
        alone.square().sum().backward()
        assert_close([together[index]], [alone])
        known = dict(model.named_parameters())
        assert_close([stacked[name].grad[index] for name in known], [p.grad for p in known.values()])


@pytest.mark.parametrize("position", ["rope", "alibi"])
def test_inspected_weights_are_those_of_the_forward(position: str) -> None:
    model, stream = make(position), tokens(9)
    weights = model.inspect(stream, None)
    assert list(weights) == ["layer 1", "layer 2"]
    first = weights["layer 1"]
    assert_close([first.sum(-1)], [torch.ones(ROWS, HEADS, 9, dtype=torch.float64)])
    assert not first.triu(1).any()
    x, context = model.begin(stream, None)
    seen, part = model.layers[0].mixing.prepare(x), model.layers[0].mixer.attention
    by_hand = part.out(merge_heads(first @ part.memorize(seen)[1]))
    assert_close([by_hand], [model.layers[0].mixer(seen, context)])


def test_heads_are_neighbouring_channels() -> None:
    x = torch.arange(2 * 3 * WIDTH).view(2, 3, WIDTH)
    heads = split_heads(x, HEADS)
    assert torch.equal(heads[1, 2, 0], x[1, 0, 8:12])
    assert torch.equal(merge_heads(heads), x)


def _ran_flash(monkeypatch: pytest.MonkeyPatch, **call: object) -> bool:
    """Return whether ``auto`` called FlashAttention."""
    calls = []
    monkeypatch.setattr(sdpa, "attend", lambda *inputs, **sight: calls.append(inputs) or inputs[0])
    queries = call.pop("queries", 5)
    attend(*qkv(queries, 5), **call)
    return bool(calls)


@pytest.mark.parametrize(
    ("call", "flash"),
    [
        ({}, True),
        ({"causal": True}, True),
        ({"causal": True, "window": 5}, True),
        ({"causal": True, "window": 4}, False),
        ({"bias": torch.zeros(5)}, False),
        ({"causal": True, "queries": 2}, False),
    ],
)
def test_auto_takes_flash_where_it_can(monkeypatch: pytest.MonkeyPatch, call: dict, flash: bool) -> None:
    assert _ran_flash(monkeypatch, **call) is flash


@pytest.mark.parametrize("kernel", ["flash", "flash_attn"])
def test_a_named_kernel_refuses_a_bias(kernel: str) -> None:
    with pytest.raises(ValueError, match=f"kernel={kernel} takes no additive bias such as ALiBi's; use auto or math"):
        attend(*qkv(3, 3), bias=torch.zeros(3), kernel=kernel)


def test_flash_refuses_some_causal_queries() -> None:
    with pytest.raises(ValueError, match="takes causal queries for all positions or for the last one"):
        attend(*qkv(2, 3), causal=True, kernel="flash")


@pytest.mark.skipif(flash_attn.KERNEL.obstacle() is None, reason="flash-attn is usable here")
def test_a_missing_package_is_an_error_at_construction() -> None:
    with pytest.raises(KernelMissing, match=r"kernel=flash_attn cannot be used here: .*lengthwise\[flash\]"):
        Transformer(WIDTH, kernel="flash_attn")


def test_recorded_kernels() -> None:
    flash = f"flash (torch {torch.__version__})"
    named = {kernel: make(kernel=kernel).kernels["MultiHead"] for kernel in ("math", "flash", "auto")}
    assert named == {"math": "math", "flash": flash, "auto": flash}


def test_recorded_kernel_is_the_one_that_ran() -> None:
    model = make(position="alibi")
    model(torch.zeros(1, 3, dtype=torch.long), None)
    assert model.kernels["MultiHead"] == "math"


def test_auto_is_math_where_torch_lacks_flash(monkeypatch: pytest.MonkeyPatch) -> None:
    lacking = type(FLASH)("flash", lambda: "lacking", FLASH.version)
    monkeypatch.setattr(sdpa, "KERNEL", lacking)
    assert attention.kernel_record("auto") == "math"
    with pytest.raises(KernelMissing, match="lacking"):
        attention.kernel_record("flash")


@pytest.mark.parametrize(
    ("width", "heads", "rule"),
    [(15, 4, "width=15 must be a multiple of 8 .* the nearest is 16"), (4, 4, "the nearest is 8"), (60, 5, None)],
)
def test_width_fits_the_heads(width: int, heads: int, rule: str | None) -> None:
    if rule is None:
        assert Transformer(width, heads=heads).attention.head_width == width // heads
        return
    with pytest.raises(ValueError, match=rule):
        Transformer(width, heads=heads)


def test_half_precision_scores_take_a_float_bias() -> None:
    q, k, v = qkv(4, 4, torch.bfloat16)
    out, _ = with_gradients(lambda *x: attend(*x, bias=torch.zeros(4)), [q, k, v])
    assert out.dtype == torch.bfloat16
    assert attention_weights(q, k, bias=torch.zeros(4)).dtype == torch.float32
