"""The Triton kernel of flash-linear-attention equals RetNet's recurrence, for one model and for a population."""

import pytest
import torch
from agreement import LENGTHS, assert_equal_reference, assert_population_equals_reference

from architectures.linear.retnet import RetNet
from architectures.parts.kernels.fla import KERNEL

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(KERNEL.obstacle() is not None, reason=f"{KERNEL.obstacle()}")]

WIDTH, HEADS = 64, 4
TOLERANCE = {torch.float32: 5e-3, torch.bfloat16: 3e-2}  # Triton multiplies float32 matrices in TF32


def pair(dtype: torch.dtype) -> tuple[RetNet, RetNet]:
    torch.manual_seed(0)
    fast, exact = (RetNet(WIDTH, heads=HEADS, kernel=kernel) for kernel in ("fla", "recurrent"))
    return fast.to("cuda", dtype), exact.to("cuda", torch.float64)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_recurrence(dtype: torch.dtype, length: int) -> None:
    assert_equal_reference(*pair(dtype), length, WIDTH, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_population_equals_recurrence(dtype: torch.dtype) -> None:
    assert_population_equals_reference(*pair(dtype), WIDTH, TOLERANCE[dtype])
