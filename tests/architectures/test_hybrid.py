"""The hybrid has the layers that its pattern names, and the class attributes that follow from them."""

import pytest
import torch
from equivalence import assert_close
from torch import Tensor

from architectures.attention.transformer import Transformer
from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.linear.mamba import Mamba
from architectures.other.hybrid import Hybrid, find_mixer
from architectures.parts.positions import Misplaced
from architectures.recurrent.bilstm import BiLSTM
from architectures.recurrent.lstm import LSTM

ROWS, WIDTH = 2, 16
SYMBOLS = ("a", "b", "c", "d")


def make(pattern: str = "mamba+transformer", depth: int = 2, position: str = "native", **options: int) -> LanguageModel:
    torch.manual_seed(0)
    options = {"pattern": pattern, **options}
    return LanguageModel(SYMBOLS, Hybrid, options, width=WIDTH, depth=depth, position=position).double()


def tokens(rows: int, length: int) -> Tensor:
    return torch.randint(len(SYMBOLS), (rows, length))


def test_layers_follow_the_pattern() -> None:
    model = make("lstm+transformer+mamba", depth=5)
    assert [type(layer.mixer.inner) for layer in model.layers] == [LSTM, Transformer, Mamba, LSTM, Transformer]


@pytest.mark.parametrize(("name", "kind"), [("transformer", Transformer), ("mamba", Mamba)])
def test_a_pattern_of_one_is_that_architecture(name: str, kind: type) -> None:
    """In the same block, and with the same weights."""
    torch.manual_seed(0)
    alone = LanguageModel(SYMBOLS, kind, width=WIDTH, block="shared", position="none").double()
    hybrid = LanguageModel(SYMBOLS, Hybrid, {"pattern": name}, width=WIDTH, block="shared").double()
    hybrid.load_state_dict({key.replace("mixer.", "mixer.inner."): each for key, each in alone.state_dict().items()})
    source, prefix = tokens(ROWS, 9), tokens(ROWS, 5)
    assert torch.equal(hybrid(source, prefix), alone(source, prefix))


@pytest.mark.parametrize("window", [0, 5])
def test_steps_equal_forward(window: int) -> None:
    model, source, prefix = make("lstm+transformer", window=window), tokens(ROWS, 12), tokens(ROWS, 9)
    state, logits = model.start(source), []
    for token in prefix.unbind(1):
        out, state = model.step(token, state)
        logits.append(out)
    assert_close([torch.stack(logits, dim=1)], [model(source, prefix)])


def test_only_attention_without_a_window_grows() -> None:
    def sizes(**options: int) -> list[int]:
        return [state_bytes(make(**options).start(tokens(1, length))) for length in (8, 16, 32)]

    key_value_place = 8 * (2 * WIDTH + 1)
    first, second, third = sizes()
    assert (second - first, third - second) == (8 * key_value_place, 16 * key_value_place)
    assert len(set(sizes(window=8))) == 1


def test_facts_are_those_of_the_layers() -> None:
    both = make("bilstm+transformer")
    assert (both.causal, both.can_step, make().causal, make().can_step) == (False, False, True, True)
    assert list(make("lstm+transformer+lstm", depth=3).inspect(tokens(1, 5), None)) == ["layer 2"]
    assert find_mixer("bilstm") is BiLSTM
    make(position="rope")
    with pytest.raises(Misplaced, match="position=rope works inside attention"):
        make("mamba+lstm", position="rope")


@pytest.mark.parametrize("heads", [2, 8])
def test_heads_reach_the_layers_that_have_them(heads: int) -> None:
    model = make("mamba+transformer", heads=heads)
    assert model.inspect(tokens(1, 5), None)["layer 2"].shape == (1, heads, 5, 5)


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("mamba+transfomer", "pattern contains 'transfomer', which is not an architecture; the nearest is transformer"),
        ("zzz", "'zzz', which is not an architecture; choose from .*lstm, "),
        ("lstm+bahdanau", "pattern contains bahdanau, which is not a mixer but a complete model; use one such as"),
        ("hybrid", "pattern contains hybrid, which is not a mixer"),
        ("lstm+lstm+lstm", r"depth=2 must be at least 3 for pattern=lstm\+lstm\+lstm"),
    ],
)
def test_invalid_patterns_are_errors(pattern: str, rule: str) -> None:
    with pytest.raises(ValueError, match=rule):
        make(pattern)


def test_layers_count_those_of_their_own_kind() -> None:
    model = LanguageModel(("a", "b"), Hybrid, {"pattern": "transformer+cnn+rwkv7"}, width=16, depth=6)
    inner = [layer.mixer.inner for layer in model.layers]
    alone = LanguageModel(("a", "b"), type(inner[1]), width=16, depth=2)
    assert [mixer.first.dilation for mixer in (inner[1], inner[4])] == [
        layer.mixer.first.dilation for layer in alone.layers
    ]
    assert [mixer.residual is None for mixer in (inner[2], inner[5])] == [True, False]


def test_a_block_with_a_feed_forward_gets_time_mixing_alone() -> None:
    hybrid = LanguageModel(("a", "b"), Hybrid, {"pattern": "rwkv6+transformer"}, width=16)
    shared = LanguageModel(("a", "b"), find_mixer("rwkv6"), width=16, block="shared")
    native = LanguageModel(("a", "b"), find_mixer("rwkv6"), width=16)
    mixers = [hybrid.layers[0].mixer.inner, shared.layers[0].mixer, native.layers[0].mixer]
    assert [mixer.channel is None for mixer in mixers] == [True, True, False]


def test_a_window_needs_a_layer_that_has_one() -> None:
    with pytest.raises(ValueError, match=r"window=8 has no effect: no layer of pattern=mamba\+lstm has a window"):
        Hybrid(16, pattern="mamba+lstm", window=8)
