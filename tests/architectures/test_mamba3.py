"""Mamba-3: forms agree, it equals a state that turns, and without turns and last inputs it is Mamba-2's scan."""

import pytest
import torch
from equivalence import assert_close, assert_forms_agree
from torch import Tensor

from architectures.linear.mamba3 import Mamba3, Projected, recurrent, rotate
from architectures.parts.scans import decay


def projected(length: int) -> tuple[Mamba3, Projected]:
    torch.manual_seed(length)
    mixer = Mamba3(12, state=8, heads=2).double()
    torch.nn.init.normal_(mixer.into.weight)
    return mixer, mixer._project(torch.randn(3, length, 12, dtype=torch.float64))


@pytest.mark.parametrize("kernel", ["parallel", "chunked"])
@pytest.mark.parametrize("length", [1, 2, 3, 65])
def test_forms_agree(kernel: str, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(2, length, 12, dtype=torch.float64)
    ours, theirs = (Mamba3(12, state=8, heads=2, kernel=form).double() for form in (kernel, "recurrent"))
    assert_forms_agree(ours, theirs, x)


def test_turned_keys_are_a_state_that_turns_back() -> None:
    """Keys that turn by phi_t are keys that do not, in a state that turns by minus the angle of each step."""
    _, p = projected(20)
    steps = p.angle.diff(dim=2, prepend=torch.zeros_like(p.angle[:, :, :1]))
    still_keys, still_queries = rotate(p.keys, -p.angle), rotate(p.queries, -p.angle)
    h: Tensor = torch.zeros(3, 2, 8, p.values.shape[-1], dtype=torch.float64)
    before, out = torch.zeros_like(h), []
    for t in range(20):
        decayed = p.log_decay[:, :, t, :, None].exp() * (h + ((1 - p.current) * p.delta)[:, :, t, :, None] * before)
        turned = rotate(decayed.mT, -steps[:, :, t, None]).mT
        before = still_keys[:, :, t, :, None] * p.values[:, :, t, None]
        h = turned + (p.current * p.delta)[:, :, t, :, None] * before
        out.append(decay.read(h, still_queries[:, :, t]))
    assert_close([recurrent(p)], [torch.stack(out, dim=2)])


def test_without_turns_and_the_last_input_it_is_the_scan_of_mamba2() -> None:
    _, p = projected(33)
    plain = p._replace(current=torch.ones_like(p.current), keys=rotate(p.keys, -p.angle))
    expected = decay.recurrent(plain.queries, plain.keys, plain.delta * plain.values, plain.log_decay)
    assert_close([recurrent(plain)], [expected])
