"""Selective RoPE: increments of one are RoPE, increments of zero no positions, and angles are cumulative sums."""

import math

import pytest
import torch
from equivalence import assert_close, assert_steps_equal_forward, context_of
from torch import Tensor

from architectures.attention.selective_rope import SelectiveRoPE
from architectures.attention.transformer import Transformer
from architectures.linear.gla import GLA
from architectures.linear.selective_gla import SelectiveGLA
from architectures.parts.positions.base import Encoding, Setting
from architectures.parts.positions.rope import BASE, RoPE, rotate
from architectures.parts.scans import decay

WIDTH, HEADS = 16, 2


def layer(cls: type, increment: float) -> torch.nn.Module:
    """Return a layer whose increments are constant."""
    torch.manual_seed(0)
    mixer = cls(WIDTH, heads=HEADS, theta=BASE, increment=increment).double()
    torch.nn.init.zeros_(mixer.angles.convolution.weight)
    return mixer


def inputs() -> Tensor:
    return torch.randn(2, 9, WIDTH, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(("increment", "encoding"), [(1.0, RoPE), (0.0, Encoding)])
def test_constant_increments_are_a_transformer(increment: float, encoding: type) -> None:
    ours, theirs, x = layer(SelectiveRoPE, increment), Transformer(WIDTH, heads=HEADS).double(), inputs()
    theirs.load_state_dict({name: z for name, z in ours.state_dict().items() if "angles" not in name})
    contexts = [context_of(x), context_of(x)]
    for context, kind in zip(contexts, (Encoding, encoding), strict=True):
        context.encoding = kind(Setting(WIDTH, HEADS))
    assert_close([ours(x, contexts[0])], [theirs(x, contexts[1])], tolerance=1e-6)  # RoPE's angles are float32


@pytest.mark.parametrize("increment", [0.0, 1.0])
def test_constant_increments_are_gla_with_rope(increment: float) -> None:
    ours, theirs, x = layer(SelectiveGLA, increment), GLA(WIDTH, heads=HEADS).double(), inputs()
    theirs.load_state_dict({name: z for name, z in ours.state_dict().items() if "angles" not in name})
    q, k, *rest = theirs._project(x)
    q, k = (rotate(z, increment * torch.arange(1, 10, dtype=torch.float64)) for z in (q, k))
    assert_close([ours(x, context_of(x))], [theirs._output(decay.recurrent(q, k, *rest), x)])


@pytest.mark.parametrize("gated", [False, True])
def test_angles_are_sums_of_increments_of_normed_inputs(gated: bool) -> None:
    torch.manual_seed(0)
    mixer, x = SelectiveGLA(WIDTH, heads=HEADS, theta=4.0, gated=gated).double(), inputs()
    part, phi = mixer.angles, torch.zeros(2, HEADS, 2, dtype=torch.float64)
    (cos, sin), _ = part(x)
    u = torch.cat([torch.nn.functional.normalize(head, dim=-1) for head in x.chunk(HEADS, dim=-1)], dim=-1)
    mapped = part.map(u)
    for t in range(9):
        window = [part.convolution.weight[3 - back] * mapped[:, t - back] for back in range(4) if t >= back]
        increment = (sum(window) + part.convolution.bias).unflatten(-1, (HEADS, 2))
        phi = phi + (increment * torch.sigmoid(part.gate(u[:, t]))[..., None] if gated else increment)
        angle = phi / torch.tensor([1.0, math.sqrt(4.0)])
        assert_close([cos[:, :, t, :2], sin[:, :, t, 2:]], [angle.cos(), angle.sin()], tolerance=1e-4)
    assert_steps_equal_forward(mixer, x)
