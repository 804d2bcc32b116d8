"""The encoder equals torch's with the same weights, is bidirectional, and runs at any length."""

import library
import pytest
import torch
from equivalence import assert_close
from torch import Tensor, nn
from torch.func import functional_call

from architectures.attention.encoder import Encoder
from architectures.language_model import LanguageModel

ROWS, WIDTH, HEADS, DEPTH = 2, 16, 4, 2
SYMBOLS = ("a", "b", "c", "d")


def make(**options: object) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(SYMBOLS, Encoder, {"heads": HEADS}, width=WIDTH, depth=DEPTH, **options).double()


def tokens(length: int) -> Tensor:
    return torch.randint(len(SYMBOLS), (ROWS, length))


@pytest.mark.parametrize("length", [1, 2, 65])
def test_equals_torchs_encoder(length: int) -> None:
    model, source = make(), tokens(length)
    kind = nn.TransformerEncoderLayer(WIDTH, HEADS, 4 * WIDTH, 0.0, "gelu", batch_first=True, dtype=torch.float64)
    theirs, weights = nn.TransformerEncoder(kind, DEPTH, enable_nested_tensor=False), {}
    for index, layer in enumerate(model.layers):
        norms = [layer.mixing.norm, layer.feeding.norm]
        own = library.layer({"self_attn": layer.mixer.attention}, layer.feed_forward, norms)
        weights |= library.named(f"layers.{index}", own)
    embedded, _ = model.begin(source, None)
    ours, known = model(source, None), model.head(functional_call(theirs, weights, (embedded,), strict=True))
    assert_close([ours], [known])
    parameters, probe = list(model.parameters()), torch.randn_like(known)
    assert_close(*(torch.autograd.grad((out * probe).sum(), parameters) for out in (ours, known)))


def test_looks_both_ways_and_says_so() -> None:
    model, source = make(), tokens(9)
    assert (model.causal, model.online, model.can_step) == (False, False, False)
    changed = torch.cat((source[:, :-1], (source[:, -1:] + 1) % len(SYMBOLS)), dim=1)
    assert not torch.allclose(model(source, None)[:, 0], model(changed, None)[:, 0])
    assert all((weights > 0).all() for weights in model.inspect(source, None).values())


def test_has_no_reach_unless_positions_are_learned() -> None:
    assert make().reach is None
    assert make(position="learned", reach=64).reach == 64
    assert make()(tokens(300), None).isfinite().all()
