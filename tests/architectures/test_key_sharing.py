"""Smaller caches and other scores: fewer key heads, shared memories, windows, additive and cosine scores."""

import math

import pytest
import torch
from equivalence import assert_close, with_gradients
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.transformer import Transformer
from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.parts.attention import MultiHead, attend, attention_weights, merge_heads, split_heads
from architectures.parts.kernels import replicas_ride_along
from architectures.parts.scores import SCORES

ROWS, WIDTH, HEADS, DEPTH = 2, 16, 4, 3
HEAD = WIDTH // HEADS
SYMBOLS = ("a", "b", "c", "d")
OPTIONS = [
    {"kv_heads": 1, "kernel": "flash"},
    {"kv_heads": 2, "share": 2},
    {"window": 5, "share": 3},
    {"score": "cosine", "kv_heads": 1, "window": 9},
    {"score": "additive", "kv_heads": 2, "share": 2, "window": 5},
]


def make(seed: int = 0, position: str = "rope", depth: int = DEPTH, **options: object) -> LanguageModel:
    torch.manual_seed(seed)
    options = {"heads": HEADS, **options}
    return LanguageModel(SYMBOLS, Transformer, options, width=WIDTH, depth=depth, position=position).double()


def tokens(*shape: int) -> Tensor:
    return torch.randint(len(SYMBOLS), shape)


@pytest.mark.parametrize("position", ["rope", "t5"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_steps_equal_forward(options: dict, position: str) -> None:
    if position == "t5" and "kernel" in options:
        pytest.skip("flash takes no bias")
    model, source, prefix = make(position=position, **options), tokens(ROWS, 12), tokens(ROWS, 9)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    assert_close([torch.stack(logits, dim=1)], [model(source, prefix)])


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_population_equals_singles(options: dict) -> None:
    position = "rope" if "kernel" in options else "alibi"
    models, stream = [make(seed, position, **options) for seed in range(2)], tokens(2, ROWS, 9)
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


@pytest.mark.parametrize(
    ("options", "kept"),
    [
        ({}, DEPTH * 2 * HEADS * HEAD),
        ({"kv_heads": 2}, DEPTH * 2 * 2 * HEAD),
        ({"kv_heads": 1}, DEPTH * 2 * HEAD),
        ({"share": 2}, 2 * 2 * HEADS * HEAD),
        ({"share": 3, "kv_heads": 1}, 2 * HEAD),
    ],
    ids=str,
)
def test_bytes_a_token(options: dict, kept: int) -> None:
    """The cache has eight bytes for each number and for each position id, in each layer with a memory."""
    model = make(**options)
    owners = math.ceil(DEPTH / options.get("share", 1))
    sizes = [state_bytes(model.start(tokens(1, length))) for length in (16, 64)]
    assert sizes == [length * 8 * (kept + owners) for length in (16, 64)]


def test_a_window_bounds_the_state() -> None:
    model, whole = make(window=8), make()
    sizes = [state_bytes(model.start(tokens(1, length))) for length in (4, 8, 16, 64)]
    assert sizes[0] < sizes[1] == sizes[2] == sizes[3] == state_bytes(whole.start(tokens(1, 8)))


def test_few_key_heads_are_many_equal_ones() -> None:
    few, many = MultiHead(WIDTH, HEADS, kv_heads=2).double(), MultiHead(WIDTH, HEADS).double()
    rows = few.memory.weight.view(2, 2, HEAD, WIDTH).repeat_interleave(2, dim=1)  # keys and values, heads
    biases = few.memory.bias.view(2, 2, HEAD).repeat_interleave(2, dim=1)
    many.load_state_dict(
        {**few.state_dict(), "memory.weight": rows.reshape(-1, WIDTH), "memory.bias": biases.flatten()}
    )
    x = torch.randn(ROWS, 7, WIDTH, dtype=torch.float64)
    ours, theirs = (part(part.queries(x), part.memorize(x), causal=True) for part in (few, many))
    assert_close([ours], [theirs])


def test_a_layer_looks_at_the_memory_of_the_one_before() -> None:
    model, stream = make(share=2, depth=2), tokens(ROWS, 9)
    assert [name for name, _ in model.named_parameters() if "attention.memory.weight" in name] == [
        "layers.0.mixer.attention.memory.weight"
    ]
    x, context = model.begin(stream, None)
    first, second = model.layers
    entered = first.mixing.prepare(x)
    keys, values = first.mixer.attention.memorize(entered)
    memory = context.encoding.key(keys, context), values
    x = first(x, context)
    part = second.mixer.attention
    q = context.encoding.query(part.queries(second.mixing.prepare(x)), context)
    known = part(q, memory, causal=True)
    assert_close([second.mixer(second.mixing.prepare(x), context)], [known])


def test_a_shared_memory_learns_from_all_who_look() -> None:
    model = make(share=2, depth=2)
    weight = model.layers[0].mixer.attention.memory.weight
    with torch.no_grad():
        model.layers[0].mixer.attention.out.weight.zero_()  # the first layer's output projection
    model(tokens(ROWS, 9), None).square().sum().backward()
    assert weight.grad.abs().max() > 1e-6


@pytest.mark.parametrize("window", [1, 3, 7, 8])
def test_window_is_a_band(window: int) -> None:
    q, k, v = (torch.randn(ROWS, HEADS, 7, HEAD, dtype=torch.float64) for _ in range(3))
    distance = torch.arange(7)[:, None] - torch.arange(7)
    band = (distance >= 0) & (distance < window)
    known = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=band)
    assert_close([attend(q, k, v, causal=True, window=window)], [known])
    assert_close([attend(q[:, :, -2:], k, v, causal=True, window=window)], [known[:, :, -2:]])
    assert torch.equal(attention_weights(q, k, causal=True, window=window) > 0, band.expand(ROWS, HEADS, 7, 7))


def test_layers_reach_a_window_further_each() -> None:
    model = make(window=3, depth=2)
    before = tokens(1, 12)
    after = torch.cat(((before[:, :1] + 1) % len(SYMBOLS), before[:, 1:]), dim=1)
    moved = (model(before, None) - model(after, None)).abs().amax(-1)[0] > 0
    assert moved.tolist() == [True] * 5 + [False] * 7


def test_a_window_that_does_not_narrow_leaves_flash_in_place() -> None:
    model = make(window=6)
    for length, kernel in ((6, "flash"), (7, "math")):
        model(tokens(ROWS, length), None)
        assert model.kernels["MultiHead"].startswith(kernel)


def test_additive_score_is_bahdanaus() -> None:
    """Compare with the paper's expression, one pair of positions at a time."""
    part = MultiHead(WIDTH, HEADS, score="additive").double()
    x = torch.randn(ROWS, 5, WIDTH, dtype=torch.float64)

    def by_hand(x: Tensor) -> Tensor:
        q, (k, _) = split_heads(part.query(x), HEADS), part.memorize(x)
        pairs = [[part.score.v.mul(torch.tanh(q[:, :, i] + k[:, :, j])).sum(-1) for j in range(5)] for i in range(5)]
        return torch.stack([torch.stack(row, dim=-1) for row in pairs], dim=-2).softmax(-1)

    (ours, gradients), (theirs, known) = (
        with_gradients(form, [x]) for form in (lambda x: part.weights(part.queries(x), part.memorize(x)[0]), by_hand)
    )
    assert_close([ours, *gradients], [theirs, *known])
    q, memory = part.queries(x), part.memorize(x)
    assert_close([part(q, memory)], [part.out(merge_heads(theirs @ memory[1]))])


def test_cosine_score_is_query_key_normalisation() -> None:
    part = MultiHead(WIDTH, HEADS, score="cosine").double()
    assert part.score.scale.item() == pytest.approx(math.log2(40**2 - 40), rel=1e-6)
    q, k = (torch.randn(ROWS, HEADS, 5, HEAD, dtype=torch.float64) for _ in range(2))
    cosine = nn.functional.cosine_similarity(q[:, :, :, None], k[:, :, None], dim=-1)
    weights = part.weights(part.score.query(3 * q), part.score.key(k / 7))
    assert_close([weights], [(part.score.scale * cosine).softmax(-1)])


def test_only_learned_scores_have_parameters() -> None:
    shapes = {name: [list(p.shape) for p in kind(HEADS, HEAD).parameters()] for name, kind in SCORES.items()}
    assert shapes == {"dot": [], "cosine": [[]], "additive": [[HEADS, HEAD]]}


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"kv_heads": 3}, "kv_heads=3 must divide heads=4; the nearest divisor is 2"),
        ({"kv_heads": 9}, "the nearest divisor is 4"),
        ({"kernel": "flash", "window": 2}, "kernel=flash takes no sliding window; use auto or math"),
        ({"kernel": "flash", "score": "additive"}, "kernel=flash computes scaled dot products only; use auto or math"),
    ],
    ids=str,
)
def test_invalid_options_are_errors(options: dict, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(**options)(tokens(1, 5), None)
