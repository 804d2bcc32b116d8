"""Mamba-3 MIMO: forms agree, it is a sum over pairs of vectors, and of rank one it is Mamba-3."""

import pytest
import torch
from equivalence import assert_close, assert_forms_agree, context_of
from torch import Tensor

from architectures.linear.mamba3 import Mamba3
from architectures.linear.mamba3_mimo import Mamba3MIMO

SIZES = {"state": 8, "heads": 2}


def layer(length: int, **options: object) -> tuple[Mamba3MIMO, Tensor]:
    torch.manual_seed(length)
    mixer = Mamba3MIMO(12, **SIZES, **options).double()
    for parameter in (mixer.into.weight, mixer.input_split, mixer.gate_split, mixer.output_join, mixer.key_bias):
        torch.nn.init.normal_(parameter)
    return mixer, torch.randn(2, length, 12, dtype=torch.float64)


@pytest.mark.parametrize("kernel", ["parallel", "chunked"])
@pytest.mark.parametrize("length", [1, 2, 65])
def test_forms_agree(kernel: str, length: int) -> None:
    theirs, x = layer(length, rank=3, kernel="recurrent")
    ours = layer(length, rank=3, kernel=kernel)[0]
    assert_forms_agree(ours, theirs, x)
    assert_close(*(mixer.prefill(x, context_of(x))[1] for mixer in (ours, theirs)))


def test_rank_one_is_mamba3() -> None:
    ours, x = layer(20, rank=1)
    theirs = Mamba3(12, **SIZES).double()
    for vectors in (ours.input_split, ours.gate_split, ours.output_join):
        torch.nn.init.ones_(vectors)
    weights = {name: z for name, z in ours.state_dict().items() if "split" not in name and "join" not in name}
    theirs.load_state_dict({name: z[:, 0] if name.endswith("y_bias") else z for name, z in weights.items()})
    assert_close([ours(x, context_of(x))], [theirs(x, context_of(x))])


def test_equal_vectors_write_and_read_as_one_of_rank_times_the_size() -> None:
    """R equal keys and values write R times as much, and R equal queries read R times the same."""
    ours, x = layer(20, rank=3)
    one, _ = layer(20, rank=1)
    weights = dict(ours.state_dict())
    parts = list(ours.into.weight.split(ours.parts))
    parts[2:4] = [part[:8] for part in parts[2:4]]
    weights["into.weight"] = torch.cat(parts)
    for name in ("key_bias", "query_bias", "input_split", "gate_split", "output_join"):
        weights[name] = weights[name][:, :1]
    one.load_state_dict(weights)
    with torch.no_grad():
        parts[2:4] = [part.repeat(3, 1) for part in parts[2:4]]
        ours.into.weight.copy_(torch.cat(parts))
        for name in ("key_bias", "query_bias", "input_split", "gate_split", "output_join"):
            getattr(ours, name).copy_(weights[name].expand_as(getattr(ours, name)))
        for mixer in (ours, one):
            mixer.D.zero_()
    assert_close([ours(x, context_of(x))], [9 * one(x, context_of(x))])
