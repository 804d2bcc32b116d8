"""CNN: equal to torch's convolutions with the same weights; its receptive field is the documented one."""

import pytest
import torch
import torch.nn.functional as F
from equivalence import (
    LENGTHS,
    assert_close,
    assert_population_equals_singles,
    assert_steps_equal_forward,
    run,
)
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from architectures.base import state_bytes
from architectures.convolution.cnn import CNN, Dilated
from architectures.language_model import LanguageModel

ROWS, WIDTH = 2, 5


def make(window: int = 3, layer: int = 2) -> CNN:
    mixer = CNN(WIDTH, window=window).double()
    mixer.initialize(layer, depth=4)
    return mixer


def as_torch_has_it(ours: Dilated) -> nn.Module:
    """The layer of the authors' code: ``weight_norm(Conv1d)``, to be cut at its end."""
    conv = nn.Conv1d(WIDTH, WIDTH, ours.window, padding=ours.past, dilation=ours.dilation).double()
    theirs = weight_norm(conv)
    theirs.parametrizations.weight.original0.data.copy_(ours.size[:, None, None])
    theirs.parametrizations.weight.original1.data.copy_(ours.direction.permute(2, 1, 0))
    theirs.bias.data.copy_(ours.bias)
    return theirs


@pytest.mark.parametrize("length", LENGTHS)
def test_equals_torch(length: int) -> None:
    torch.manual_seed(length)
    ours = make()
    ours.first.size.data.add_(torch.rand(WIDTH))
    theirs = [as_torch_has_it(each) for each in (ours.first, ours.second)]
    x = torch.randn(ROWS, length, WIDTH, dtype=torch.float64)
    expected = x.mT
    for conv in theirs:
        expected = F.relu(conv(expected)[..., :length])
    out, (_, *gradients) = run(ours, x)
    assert_close([out], [expected.mT])
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    (expected.mT * probe).sum().backward()
    known = []
    for conv in theirs:
        size, direction = (getattr(conv.parametrizations.weight, name).grad for name in ("original0", "original1"))
        known += [direction.permute(2, 1, 0), size.flatten(), conv.bias.grad]
    assert_close(gradients, known)


@pytest.mark.parametrize(("window", "dilation", "depth"), [(2, 2, 1), (3, 2, 3), (3, 1, 2), (2, 3, 3)])
def test_sees_as_far_as_it_says(window: int, dilation: int, depth: int) -> None:
    sees = 1 + 2 * (window - 1) * sum(dilation**i for i in range(depth))
    torch.manual_seed(0)
    model = LanguageModel(("a", "b"), CNN, {"window": window, "dilation": dilation}, width=16, depth=depth).double()
    tokens = torch.zeros(1, 40, dtype=torch.long)
    before = model(tokens, None)[0, -1]
    changed = [not torch.equal(model(flipped(tokens, place), None)[0, -1], before) for place in range(40)]
    assert changed.index(True) == 40 - sees


def flipped(tokens: Tensor, place: int) -> Tensor:
    return torch.where(torch.arange(tokens.shape[1]) == place, 1 - tokens, tokens)


def test_starts_as_torch_does() -> None:
    torch.manual_seed(0)
    ours, theirs = Dilated(64, 3), nn.Conv1d(64, 64, 3)
    torch.testing.assert_close(ours.direction.std(), theirs.weight.std(), rtol=0.05, atol=0)
    torch.testing.assert_close(ours.size, ours.direction.norm(dim=(0, 1)))


def test_steps_equal_forward() -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(), torch.randn(ROWS, 65, WIDTH, dtype=torch.float64))


def test_state_is_what_the_taps_span() -> None:
    model = LanguageModel(("a", "b"), CNN, {"window": 3}, width=WIDTH, depth=2)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    assert sizes == {4 * ROWS * WIDTH * 2 * (2 + 4)}


def test_population_equals_singles() -> None:
    torch.manual_seed(0)
    assert_population_equals_singles([make() for _ in range(3)], torch.randn(3, ROWS, 20, WIDTH, dtype=torch.float64))
