"""The Triton kernels of flash-linear-attention equal the delta rule and RWKV-7, for one model and for a population."""

import pytest
import torch
from agreement import LENGTHS, assert_equal_reference, assert_population_equals_reference, context_of

from architectures.base import Mixer
from architectures.linear.deltanet import DeltaNet
from architectures.linear.deltaproduct import DeltaProduct
from architectures.linear.gated_deltanet import GatedDeltaNet
from architectures.linear.rwkv7 import RWKV7
from architectures.parts.kernels.fla import KERNEL

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(KERNEL.obstacle() is not None, reason=f"{KERNEL.obstacle()}")]

WIDTH = 64
TOLERANCE = {torch.float32: 5e-3, torch.bfloat16: 5e-2}  # Triton multiplies float32 matrices in TF32
LAYERS = [DeltaNet, GatedDeltaNet, DeltaProduct, RWKV7]
CASES = [(cls, dtype) for cls in LAYERS for dtype in TOLERANCE if (cls, dtype) != (RWKV7, torch.float32)]


def pair(cls: type[Mixer], dtype: torch.dtype) -> tuple[Mixer, Mixer]:
    torch.manual_seed(0)
    fast, exact = (cls(WIDTH, kernel=kernel) for kernel in ("fla", "recurrent"))  # type: ignore[call-arg]
    return fast.to("cuda", dtype), exact.to("cuda", torch.float64)


@pytest.mark.parametrize(("cls", "dtype"), CASES)
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_recurrence(cls: type[Mixer], dtype: torch.dtype, length: int) -> None:
    assert_equal_reference(*pair(cls, dtype), length, WIDTH, TOLERANCE[dtype])


@pytest.mark.parametrize(("cls", "dtype"), CASES)
def test_population_equals_recurrence(cls: type[Mixer], dtype: torch.dtype) -> None:
    assert_population_equals_reference(*pair(cls, dtype), WIDTH, TOLERANCE[dtype])


def test_rwkv7_falls_back_in_float32() -> None:
    mixer = RWKV7(WIDTH).cuda()
    mixer(x := torch.randn(2, 9, WIDTH, device="cuda"), context_of(x))
    assert mixer.kernel_in_use == "chunked"
