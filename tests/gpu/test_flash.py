"""Both FlashAttention kernels equal kernel=math in float64: outputs, gradients, biases, populations."""

import pytest
import torch
from agreement import LENGTHS, ROWS, relative_difference
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.transformer import Transformer
from architectures.base import Context
from architectures.language_model import LanguageModel
from architectures.parts.attention import KernelName, attend
from architectures.parts.kernels import flash_attn, replicas_ride_along
from architectures.parts.positions import Setting
from architectures.parts.positions.alibi import ALiBi, slopes

HEADS, SYMBOLS = 4, ("a", "b", "c", "d")
TOLERANCE = {torch.float16: 5e-3, torch.bfloat16: 3e-2}
obstacle = flash_attn.KERNEL.obstacle()
needs_package = pytest.mark.skipif(obstacle is not None, reason=str(obstacle))
pytestmark = pytest.mark.gpu
each_kernel = pytest.mark.parametrize("kernel", ["flash", pytest.param("flash_attn", marks=needs_package)])
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def qkv(length: int, dtype: torch.dtype, head: int = 16) -> list[Tensor]:
    torch.manual_seed(length)
    return [torch.randn(ROWS, HEADS, length, head, device="cuda", dtype=dtype, requires_grad=True) for _ in range(3)]


def math_attention(
    inputs: list[Tensor], bias: Tensor | None, causal: bool, window: int = 0
) -> tuple[Tensor, list[Tensor]]:
    """Return the output of kernel=math in float64, and the inputs in float64."""
    exact = [x.detach().double().requires_grad_() for x in inputs]
    return attend(*exact, bias=bias, causal=causal, window=window, kernel="math"), exact


def gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return list(torch.autograd.grad((out * probe).sum(), inputs))


@each_kernel
@each_dtype
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("head", [16, 20])
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_math(length: int, head: int, causal: bool, dtype: torch.dtype, kernel: KernelName) -> None:
    inputs = qkv(length, dtype, head)
    out, (expected, exact) = attend(*inputs, causal=causal, kernel=kernel), math_attention(inputs, None, causal)
    assert out.dtype == dtype
    assert relative_difference([out], [expected]) < TOLERANCE[dtype]
    assert relative_difference(gradients(out, inputs), gradients(expected, exact)) < TOLERANCE[dtype]


@each_kernel
def test_one_query_attends_to_all_keys(kernel: KernelName) -> None:
    q, k, v = qkv(9, torch.bfloat16)
    last = q[:, :, -1:]
    expected, _ = math_attention([last, k, v], None, False)
    assert relative_difference([attend(last, k, v, causal=True, kernel=kernel)], [expected]) < TOLERANCE[torch.bfloat16]


@each_kernel
def test_float32_raises_by_name_and_uses_math_by_default(kernel: KernelName) -> None:
    inputs = qkv(5, torch.float32)
    with pytest.raises(ValueError, match=f"kernel={kernel} takes float16 or bfloat16 on CUDA, not float32"):
        attend(*inputs, causal=True, kernel=kernel)
    assert torch.equal(attend(*inputs, causal=True), attend(*inputs, causal=True, kernel="math"))


@needs_package
@each_dtype
@pytest.mark.parametrize("window", [1, 7, 64])
def test_windows(window: int, dtype: torch.dtype) -> None:
    inputs = qkv(65, dtype)
    out = attend(*inputs, causal=True, window=window, kernel="flash_attn")
    expected, exact = math_attention(inputs, None, True, window)
    assert relative_difference([out], [expected]) < TOLERANCE[dtype]
    assert relative_difference(gradients(out, inputs), gradients(expected, exact)) < TOLERANCE[dtype]


@needs_package
@each_dtype
@pytest.mark.parametrize("heads", [8, 12])
def test_slopes_are_alibi(heads: int, dtype: torch.dtype) -> None:
    inputs = [torch.randn(ROWS, heads, 65, 16, device="cuda", dtype=dtype, requires_grad=True) for _ in range(3)]
    positions = torch.arange(65, device="cuda")
    out = flash_attn.attend(*inputs, causal=True, slopes=slopes(heads).cuda())
    expected, exact = math_attention(
        inputs, ALiBi(Setting(0)).bias(inputs[0], positions, Context(positions, positions, 65)), True
    )
    assert relative_difference([out], [expected]) < TOLERANCE[dtype]
    assert relative_difference(gradients(out, inputs), gradients(expected, exact)) < TOLERANCE[dtype]


@each_kernel
@each_dtype
def test_population_equals_singles(dtype: torch.dtype, kernel: KernelName) -> None:
    torch.manual_seed(0)
    options = {"heads": HEADS, "kernel": kernel}
    models = [LanguageModel(SYMBOLS, Transformer, options, width=64).to("cuda", dtype) for _ in range(3)]
    stream = torch.randint(len(SYMBOLS), (3, ROWS, 65), device="cuda")
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, x: functional_call(models[0], weights, (x, None)))(stacked, stream)
    together.sum().backward()
    for index, model in enumerate(models):
        exact = LanguageModel(SYMBOLS, Transformer, options | {"kernel": "math"}, width=64).to("cuda", torch.float64)
        exact.load_state_dict(model.state_dict())
        alone = exact(stream[index], None)
        alone.sum().backward()
        assert relative_difference([together[index]], [alone]) < TOLERANCE[dtype]
        parameters = dict(exact.named_parameters())
        actual = [stacked[name].grad[index] for name in parameters]
        assert relative_difference(actual, [p.grad for p in parameters.values()]) < TOLERANCE[dtype]
