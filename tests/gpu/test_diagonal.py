"""The Triton kernel of minGRU and minLSTM equals their recurrence, for one model and for a population."""

import pytest
import torch
from agreement import LENGTHS, assert_equal_reference, assert_population_equals_reference

from architectures.linear.mingru import MinGRU
from architectures.linear.minlstm import MinLSTM
from architectures.parts.kernels.fla import KERNEL
from architectures.parts.min_rnn import GatedAverage

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(KERNEL.obstacle() is not None, reason=f"{KERNEL.obstacle()}")]

WIDTH = 64
TOLERANCE = {torch.float32: 5e-3, torch.bfloat16: 3e-2}


def pair(cls: type[GatedAverage], dtype: torch.dtype) -> tuple[GatedAverage, GatedAverage]:
    torch.manual_seed(0)
    fast, exact = (cls(WIDTH, kernel=kernel) for kernel in ("fla", "recurrent"))
    return fast.to("cuda", dtype), exact.to("cuda", torch.float64)


@pytest.mark.parametrize("cls", [MinGRU, MinLSTM])
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_recurrence(cls: type[GatedAverage], dtype: torch.dtype, length: int) -> None:
    assert_equal_reference(*pair(cls, dtype), length, WIDTH, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_population_equals_recurrence(dtype: torch.dtype) -> None:
    assert_population_equals_reference(*pair(MinGRU, dtype), WIDTH, TOLERANCE[dtype])
