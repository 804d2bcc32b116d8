"""The kernels of linear mixers equal the recurrent form of those mixers, for one model and for a population."""

from collections.abc import Callable

import pytest
import torch
from agreement import LENGTHS, assert_equal_reference, assert_population_equals_reference

from architectures.base import Mixer
from architectures.linear.gla import GLA
from architectures.linear.linear_attention import LinearAttention
from architectures.linear.mamba2 import Mamba2
from architectures.linear.rwkv4 import RWKV4
from architectures.linear.rwkv6 import RWKV6
from architectures.parts.kernels import Kernel, fla, mamba_ssm

pytestmark = pytest.mark.gpu

WIDTH = 64
TOLERANCE = {torch.float32: 5e-3, torch.bfloat16: 3e-2}  # Triton multiplies float32 matrices in TF32


def needs(kernel: Kernel, cls: Callable[..., Mixer]) -> object:
    skip = pytest.mark.skipif(kernel.obstacle() is not None, reason=f"{kernel.obstacle()}")
    return pytest.param(cls, kernel.name, marks=skip, id=cls.__name__)


each_mixer = pytest.mark.parametrize(
    ("cls", "kernel"),
    [needs(fla.KERNEL, cls) for cls in (LinearAttention, GLA, RWKV4, RWKV6)] + [needs(mamba_ssm.KERNEL, Mamba2)],
)


def pair(cls: Callable[..., Mixer], kernel: str, dtype: torch.dtype) -> tuple[Mixer, Mixer]:
    torch.manual_seed(0)
    fast, exact = (cls(WIDTH, kernel=name) for name in (kernel, "recurrent"))
    return fast.to("cuda", dtype), exact.to("cuda", torch.float64)


@each_mixer
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_recurrence(cls: Callable[..., Mixer], kernel: str, dtype: torch.dtype, length: int) -> None:
    assert_equal_reference(*pair(cls, kernel, dtype), length, WIDTH, TOLERANCE[dtype])


@each_mixer
@pytest.mark.parametrize("dtype", TOLERANCE)
def test_population_equals_recurrence(cls: Callable[..., Mixer], kernel: str, dtype: torch.dtype) -> None:
    assert_population_equals_reference(*pair(cls, kernel, dtype), WIDTH, TOLERANCE[dtype])
