"""A looped transformer equals its equation, and a transformer whose layers repeat where the input enters once."""

import torch
from equivalence import assert_close
from torch import Tensor
from torch.func import functional_call

from architectures.attention.looped import Looped
from architectures.attention.transformer import Transformer
from architectures.language_model import LanguageModel

SYMBOLS, WIDTH = ("a", "b", "c"), 8
SOURCE = torch.randint(3, (2, 5), generator=torch.Generator().manual_seed(0))


def looped(**options: object) -> Looped:
    torch.manual_seed(0)
    return Looped(SYMBOLS, width=WIDTH, heads=2, **options).double()


def assert_equal(model: Looped, ours: Tensor, theirs: Tensor) -> None:
    """Compare logits and the gradients of the model's parameters."""
    assert_close([ours], [theirs])
    parameters = list(model.parameters())
    assert_close(*(torch.autograd.grad(out.square().sum(), parameters) for out in (ours, theirs)))


def test_without_injection_it_is_a_transformer_with_repeated_weights() -> None:
    model = looped(depth=2, loops=3, loops_per_token=0.0, injection=False)
    sizes = {"width": WIDTH, "depth": 6, "position": "none"}
    transformer = LanguageModel(SYMBOLS, Transformer, {"heads": 2}, **sizes).double()
    weights = dict(model.named_parameters())
    for name in transformer.state_dict():
        _, _, index = name.partition("layers.")
        repeated = name.replace(f"layers.{index[:1]}", f"layers.{int(index[:1]) % 2}") if index else name
        weights[name] = weights[repeated]
    assert_equal(model, model(SOURCE, SOURCE), functional_call(transformer, weights, (SOURCE, SOURCE)))


def test_the_input_is_added_before_each_of_as_many_loops_as_tokens() -> None:
    model = looped(loops=1)
    x, context = model.begin(SOURCE, SOURCE)
    states = torch.zeros_like(x)
    for _ in range(1 + SOURCE.shape[1]):
        states = model.layers[0](states + x, context)
    assert_equal(model, model(SOURCE, SOURCE), model.head(model.norm(states))[:, SOURCE.shape[1] :])


def test_loops_are_rounded_up_and_never_none() -> None:
    assert [looped(loops_per_token=0.5).loop_count(n) for n in (0, 1, 2, 3)] == [1, 1, 1, 2]
