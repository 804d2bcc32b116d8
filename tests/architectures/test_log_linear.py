"""Log-linear attention: forms agree, levels are those of a Fenwick tree, and equal weights give the linear parent."""

from functools import partial

import pytest
import torch
from equivalence import assert_close, assert_forms_agree, assert_same, context_of
from fakes import naive
from torch import Tensor

from architectures.base import Mixer
from architectures.linear.gated_deltanet import GatedDeltaNet
from architectures.linear.log_linear_deltanet import LogLinearDeltaNet
from architectures.linear.log_linear_mamba2 import LogLinearMamba2
from architectures.linear.mamba2 import Mamba2
from architectures.parts.scans import fenwick

PARENTS = {LogLinearMamba2: partial(Mamba2, state=4), LogLinearDeltaNet: GatedDeltaNet}


def layer(cls: type, **options: object) -> Mixer:
    torch.manual_seed(0)
    sizes = {"state": 4} if cls is LogLinearMamba2 else {}
    return cls(8, heads=2, **sizes, **options).double()


def inputs(length: int) -> Tensor:
    return torch.randn(2, length, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(length))


@pytest.mark.parametrize("levels", [1, 3, 8])
@pytest.mark.parametrize("length", [3, 100])
@pytest.mark.parametrize("kernel", ["parallel", "chunked"])
@pytest.mark.parametrize("cls", PARENTS)
def test_forms_agree(cls: type, kernel: str, length: int, levels: int) -> None:
    ours, theirs = (layer(cls, levels=levels, kernel=form) for form in (kernel, "recurrent"))
    assert_forms_agree(ours, theirs, inputs(length))
    (_, states, _), (_, expected, _) = (
        mixer.prefill(inputs(length), context_of(inputs(length)))[1] for mixer in (ours, theirs)
    )
    assert_close([states], [expected])


@pytest.mark.parametrize("cls", PARENTS)
def test_weights_of_one_give_the_linear_parent(cls: type, monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs, x = layer(cls), PARENTS[cls](8, heads=2).double(), inputs(70)
    theirs.load_state_dict({name: z for name, z in ours.state_dict().items() if "level_weights" not in name})
    one = lambda self, x: x.new_ones(x.shape[0], 2, x.shape[1], 6)  # noqa: E731
    monkeypatch.setattr(fenwick.LevelWeights, "forward", one)
    assert_close([ours(x, context_of(x))], [theirs(x, context_of(x))])


def test_levels_are_ranges_of_powers_of_two() -> None:
    """The ranges of a Fenwick tree, by the rule of the paper: cut off the lowest digit that is one, again and again."""
    levels = fenwick.level_of_pairs(40, 9, torch.device("cpu"))
    for t in range(40):
        expected, end = {t: 0}, t
        while end:
            size = end & -end
            expected |= dict.fromkeys(range(end - size, end), size.bit_length())
            end -= size
        assert levels[t, : t + 1].tolist() == [expected[s] for s in range(t + 1)]


def test_equals_flash_linear_attention() -> None:
    torch.manual_seed(0)
    q, k, v = torch.randn(3, 2, 1, 21, 4).unbind(0)
    log_decay, weights = -torch.rand(2, 1, 21, 1), torch.rand(2, 1, 21, 6)

    def theirs(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, weights: Tensor) -> Tensor:
        q, k, v, weights = (z.transpose(1, 2) for z in (q, k, v, weights))
        function = naive("log_linear_attn/naive.py").naive_log_linear_attn
        return function(q, k, v, log_decay[..., 0].transpose(1, 2), weights).transpose(1, 2)

    def ours(q: Tensor, k: Tensor, v: Tensor, log_decay: Tensor, weights: Tensor) -> Tensor:
        return fenwick.chunked(fenwick.DECAY, q, k, v, (log_decay,), weights, chunk=4)[0]

    assert_same(ours, theirs, [q, k, v, log_decay, weights])
