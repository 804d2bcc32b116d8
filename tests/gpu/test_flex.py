"""FlexAttention equals kernel=math in float64: windows, biases and their gradients, populations."""

import pytest
import torch
from agreement import LENGTHS, ROWS, relative_difference
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from architectures.attention.transformer import Transformer
from architectures.language_model import LanguageModel
from architectures.parts.attention import attend
from architectures.parts.kernels import replicas_ride_along

HEADS, HEAD, SYMBOLS = 4, 16, ("a", "b", "c", "d")
TOLERANCE = {torch.float32: 1e-4, torch.bfloat16: 3e-2}
pytestmark = pytest.mark.gpu
each_dtype = pytest.mark.parametrize("dtype", TOLERANCE)


def gradients(out: Tensor, inputs: list[Tensor]) -> list[Tensor]:
    probe = torch.randn(out.shape, generator=torch.Generator().manual_seed(1)).to(out)
    return list(torch.autograd.grad((out * probe).sum(), inputs))


@each_dtype
@pytest.mark.parametrize("window", [0, 7])
@pytest.mark.parametrize("length", LENGTHS)
def test_kernel_equals_math(length: int, window: int, dtype: torch.dtype) -> None:
    torch.manual_seed(length)
    shapes = [(ROWS, HEADS, length, HEAD)] * 3 + [(HEADS, length, length)]
    inputs = [torch.randn(shape, device="cuda", dtype=dtype, requires_grad=True) for shape in shapes]
    exact = [x.detach().double().requires_grad_() for x in inputs]
    out, expected = (
        attend(*tensors[:3], bias=tensors[3], causal=True, window=window, kernel=kernel)
        for tensors, kernel in ((inputs, "flex"), (exact, "math"))
    )
    assert out.dtype == dtype
    assert relative_difference([out], [expected]) < TOLERANCE[dtype]
    assert relative_difference(gradients(out, inputs), gradients(expected, exact)) < TOLERANCE[dtype]


@pytest.mark.parametrize("position", ["rope", "alibi", "t5", "transformer_xl"])
def test_population_equals_singles(position: str) -> None:
    torch.manual_seed(0)

    def build(kernel: str) -> LanguageModel:
        options = {"heads": HEADS, "kv_heads": 2, "window": 9, "kernel": kernel}
        return LanguageModel(SYMBOLS, Transformer, options, width=HEADS * HEAD, position=position).to("cuda")

    models, stream = [build("flex") for _ in range(3)], torch.randint(len(SYMBOLS), (3, ROWS, 65), device="cuda")
    stacked, _ = stack_module_state(list[nn.Module](models))
    with replicas_ride_along():
        together = vmap(lambda weights, x: functional_call(models[0], weights, (x, None)))(stacked, stream)
    together.sum().backward()
    for index, model in enumerate(models):
        exact = build("math").double()
        exact.load_state_dict(model.state_dict())
        alone = exact(stream[index], None)
        alone.sum().backward()
        assert relative_difference([together[index]], [alone]) < TOLERANCE[torch.float32]
        parameters = dict(exact.named_parameters())
        actual = [stacked[name].grad[index] for name in parameters]
        assert relative_difference(actual, [p.grad for p in parameters.values()]) < 1e-4
