"""The CUDA kernel of mamba-ssm equals Mamba's loop, for one model and for a population."""

import pytest
import torch
from agreement import LENGTHS, assert_equal_reference, assert_population_equals_reference

from architectures.linear.mamba import Mamba
from architectures.parts.kernels.mamba_ssm import KERNEL

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(KERNEL.obstacle() is not None, reason=f"{KERNEL.obstacle()}")]

WIDTH = 32
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}


def pair(dtype: torch.dtype) -> tuple[Mamba, Mamba]:
    torch.manual_seed(0)
    return Mamba(WIDTH, kernel="mamba_ssm").to("cuda", dtype), Mamba(WIDTH, kernel="loop").to("cuda", torch.float64)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_loop(dtype: torch.dtype, length: int) -> None:
    assert_equal_reference(*pair(dtype), length, WIDTH, TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_population_equals_loop(dtype: torch.dtype) -> None:
    assert_population_equals_reference(*pair(dtype), WIDTH, TOLERANCE[dtype])
