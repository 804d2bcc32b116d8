"""FlexAttention's masks and biases, in torch's unfused form: the fused one needs a GPU (``tests/gpu/test_flex.py``)."""

import pytest
import torch
from equivalence import assert_close
from torch import Tensor
from torch.func import vmap
from torch.nn.attention.flex_attention import flex_attention

from architectures.attention.transformer import Transformer
from architectures.parts.attention import attend
from architectures.parts.kernels import KernelMissing, flex, replicas_ride_along

ROWS, HEADS, HEAD, KEYS, WIDTH = 2, 4, 4, 9, 16


def qkv(queries: int) -> list[Tensor]:
    torch.manual_seed(queries)
    return [torch.randn(ROWS, HEADS, length, HEAD, dtype=torch.float64) for length in (queries, KEYS, KEYS)]


@pytest.fixture
def flex_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same masks and biases in torch's unfused form, which warns that it is one and has no gradients."""
    monkeypatch.setattr(flex, "compiled", lambda: flex_attention)
    monkeypatch.setattr(flex, "cannot", lambda *call: None)


unfused = pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")


@unfused
@pytest.mark.usefixtures("flex_on_a_cpu")
@pytest.mark.parametrize(
    ("rows", "causal", "window", "queries"),
    [((), False, 0, 3), ((), True, 0, 9), ((ROWS,), True, 4, 9), ((), True, 4, 3), ((ROWS,), True, 0, 1)],
)
def test_flex_masks_and_adds(rows: tuple[int, ...], causal: bool, window: int, queries: int) -> None:
    inputs, bias = qkv(queries), torch.randn(*rows, HEADS, queries, KEYS, dtype=torch.float64)
    ours, known = (
        attend(*inputs, bias=bias, causal=causal, window=window, kernel=kernel) for kernel in ("flex", "math")
    )
    assert_close([ours], [known])


@unfused
@pytest.mark.usefixtures("flex_on_a_cpu")
@pytest.mark.parametrize("shape", [(HEADS, 5, 5), (ROWS, HEADS, 5, 5)])
def test_flex_gives_each_replica_its_bias(shape: tuple[int, ...]) -> None:
    q, k, v = (torch.randn(3, ROWS, HEADS, 5, HEAD) for _ in range(3))
    bias = torch.randn(3, *shape)
    with replicas_ride_along():
        together = vmap(lambda q, k, v, b: attend(q, k, v, bias=b, kernel="flex"))(q, k, v, bias)
    alone = [attend(*each[:3], bias=each[3], kernel="math") for each in zip(q, k, v, bias, strict=True)]
    assert_close([together], [torch.stack(alone)])


@pytest.mark.skipif(torch.cuda.is_available(), reason="flex is usable here")
def test_flex_needs_a_gpu() -> None:
    with pytest.raises(KernelMissing, match=r"kernel=flex cannot be used here: needs a CUDA device$"):
        Transformer(WIDTH, kernel="flex")
    with pytest.raises(ValueError, match="kernel=flex does not run on cpu; use auto or math"):
        attend(*qkv(9), kernel="flex")
