"""xLSTM: all forms agree with each other and with the paper's equations without a stabiliser."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from equivalence import (
    DTYPES,
    LENGTHS,
    assert_close,
    assert_forms_agree,
    assert_population_equals_singles,
    assert_steps_equal_forward,
    run,
)
from torch import Tensor, nn

from architectures.base import state_bytes
from architectures.language_model import LanguageModel
from architectures.memory.xlstm import MLSTM, SLSTM, XLSTM

ROWS, WIDTH, HEADS = 2, 12, 3


def make(pattern: str, kernel: str = "recurrent", dtype: torch.dtype = torch.float64, rouse: float = 0.3) -> XLSTM:
    """Return the second of two layers, with parameters moved away from their initial zeros and ones."""
    mixer = XLSTM(WIDTH, pattern=pattern, heads=HEADS, kernel=kernel)
    mixer.initialize(1, 2)
    with torch.no_grad():
        for each in mixer.parameters():
            each.add_(rouse * torch.randn_like(each))
    return mixer.to(dtype)


def convolved(x: Tensor, block: MLSTM | SLSTM) -> Tensor:
    """torch's depthwise convolution, and the swish."""
    weight, size = block.convolution.weight, block.convolution.size
    padded = F.pad(x.transpose(1, 2), (size - 1, 0))
    return F.silu(F.conv1d(padded, weight.T[:, None], block.convolution.bias, groups=x.shape[-1])).transpose(1, 2)


def dense(maps: Tensor) -> Tensor:
    """The matrix ``[K * I, K * O]`` of a block-diagonal map."""
    return torch.block_diag(*maps)


def group_normed(h: Tensor, weight: Tensor) -> Tensor:
    """``h`` ``[B, L, H, E]``."""
    normed = F.group_norm(h.flatten(0, 1).flatten(1), HEADS, weight)
    return normed.unflatten(0, h.shape[:2])


def equations_of_mlstm(block: MLSTM, x: Tensor) -> Tensor:
    """Section 2.3 and the block of the appendix, one row and head after another, with the gates as they are."""
    x, gate = block.up(x).chunk(2, dim=-1)
    mixed = convolved(x, block)
    q, k, v = mixed @ dense(block.query.weight), mixed @ dense(block.key.weight), x @ dense(block.value.weight)
    i, f = block.gates(torch.cat((q, k, v), dim=-1)).split(HEADS, dim=-1)
    q, k, v = (each.unflatten(-1, (HEADS, -1)) for each in (q, k, v))
    each, rows = q.shape[-1], []
    for b in range(ROWS):
        heads = []
        for h in range(HEADS):
            C, n, out = torch.zeros(each, each, dtype=x.dtype), torch.zeros(each, dtype=x.dtype), []
            for t in range(x.shape[1]):
                key, value, query = k[b, t, h] / each**0.5, v[b, t, h], q[b, t, h]
                forget, take = torch.sigmoid(f[b, t, h]), torch.exp(i[b, t, h])
                C = forget * C + take * torch.outer(value, key)
                n = forget * n + take * key
                out.append(C @ query / torch.clamp((n @ query).abs(), min=1.0))
            heads.append(torch.stack(out))
        rows.append(torch.stack(heads, dim=1))
    h = group_normed(torch.stack(rows), block.norm.weight)
    return block.down((h + block.skip * mixed) * F.silu(gate))


def equations_of_slstm(block: SLSTM, x: Tensor) -> Tensor:
    """Section 2.2 and the block of the appendix, with dense block-diagonal matrices and the gates as they are."""
    each = WIDTH // HEADS
    wide = torch.cat((convolved(x, block) @ dense(block.gates.weight), x @ dense(block.cells.weight)), dim=-1)
    wide = wide.unflatten(-1, (2, HEADS, 2, each)).transpose(-3, -4).flatten(-4)  # [B, L, H * 4 E]
    wide = wide + block.bias.flatten()
    h = c = n = torch.zeros(ROWS, WIDTH, dtype=x.dtype)
    out = []
    for t in range(x.shape[1]):
        gates = (wide[:, t] + h @ dense(block.recurrent)).unflatten(-1, (HEADS, 4, each))
        i, f, z, o = (gate.flatten(1) for gate in gates.unbind(2))
        c = torch.sigmoid(f) * c + torch.exp(i) * torch.tanh(z)
        n = torch.sigmoid(f) * n + torch.exp(i)
        h = torch.sigmoid(o) * c / n
        out.append(h)
    normed = group_normed(torch.stack(out, dim=1).unflatten(-1, (HEADS, each)), block.norm.weight)
    gate, value = block.up(normed).chunk(2, dim=-1)
    return block.down(F.gelu(gate) * value)


class Equations(nn.Module):
    """The paper's equations on the parameters of a mixer."""

    def __init__(self, mixer: XLSTM, equations: Callable[..., Tensor]) -> None:
        super().__init__()
        self.block, self.equations = mixer.block, equations

    def forward(self, x: Tensor, context: object) -> Tensor:
        return self.equations(self.block, x)


@pytest.mark.parametrize(("pattern", "equations"), [("m", equations_of_mlstm), ("s", equations_of_slstm)])
def test_equals_the_papers_equations(pattern: str, equations: Callable[..., Tensor]) -> None:
    torch.manual_seed(0)
    mixer = make(pattern)
    x = torch.randn(ROWS, 9, WIDTH, dtype=torch.float64)
    (out, gradients), (expected, known) = run(mixer, x), run(Equations(mixer, equations), x)
    assert_close([out], [expected])
    assert_close(gradients, known)


@pytest.mark.parametrize("kernel", ["parallel", "auto"])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("length", LENGTHS)
def test_forms_agree(kernel: str, dtype: torch.dtype, length: int) -> None:
    torch.manual_seed(length)
    x = torch.randn(ROWS, length, WIDTH, dtype=dtype)
    assert_forms_agree(make("m", kernel, dtype), make("m", "recurrent", dtype), x)


@pytest.mark.parametrize("kernel", ["recurrent", "parallel", "chunked"])
def test_extreme_gates(kernel: str) -> None:
    """Gates before activation of a hundred and more: exp overflows in float32 without the stabiliser."""
    torch.manual_seed(0)
    exact, fast = make("m"), make("m", kernel, torch.float32)
    exact.block.gates.weight.data.mul_(200)
    fast.load_state_dict(exact.state_dict())
    exact.load_state_dict(fast.state_dict())
    x = torch.randn(ROWS, 65, WIDTH)
    (out, gradients), (expected, known) = run(fast, x), run(exact, x.double())
    assert_close([out, *gradients], [expected, *known], tolerance=1e-3)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("pattern", ["m", "s"])
def test_steps_equal_forward(pattern: str, length: int) -> None:
    torch.manual_seed(0)
    assert_steps_equal_forward(make(pattern, "chunked"), torch.randn(ROWS, length, WIDTH, dtype=torch.float64))


@pytest.mark.parametrize(("pattern", "kernel"), [("m", "recurrent"), ("m", "chunked"), ("s", "auto")])
def test_population_equals_singles(pattern: str, kernel: str) -> None:
    torch.manual_seed(0)
    x = torch.randn(3, ROWS, 70, WIDTH, dtype=torch.float64)
    assert_population_equals_singles([make(pattern, kernel) for _ in range(3)], x)


def test_pattern_is_repeated_over_the_layers() -> None:
    model = LanguageModel(("a", "b"), XLSTM, {"pattern": "mms", "heads": HEADS}, width=WIDTH, depth=5)
    kinds = [type(layer.mixer.block) for layer in model.layers]
    assert kinds == [MLSTM, MLSTM, SLSTM, MLSTM, MLSTM]
    assert model.kernels == {"XLSTM": "chunked, loop"}


def test_state_does_not_grow() -> None:
    model = LanguageModel(("a", "b"), XLSTM, {"heads": HEADS}, width=WIDTH, depth=2)
    sizes = {state_bytes(model.start(torch.zeros(ROWS, length, dtype=torch.long))) for length in (1, 9, 30)}
    each = 2 * WIDTH // HEADS
    assert sizes == {4 * ROWS * (2 * WIDTH * 3 + HEADS * (each * (each + 1) + 1) + WIDTH * (3 + 4))}


def test_initial_values_are_the_authors() -> None:
    """Forget gates open in mLSTM, and from open to shut over the cells of a head in sLSTM, steeper in later layers."""
    model = LanguageModel(("a", "b"), XLSTM, {"pattern": "sm", "heads": 4}, width=32, depth=3)
    first, second, last = (layer.mixer.block for layer in model.layers)
    assert torch.equal(second.gates.bias[4:], torch.tensor([3.0, 4.0, 5.0, 6.0]))
    assert not second.gates.weight.any()
    assert not first.recurrent.any()
    for block, power in ((first, 0.3), (last, 1.6)):
        forget = block.bias.unflatten(-1, (4, 8))[:, 1]
        expected = 5 - 12 * (torch.arange(8) / 7) ** power
        torch.testing.assert_close(forget, expected.expand(4, 8))


def test_bad_options_are_named() -> None:
    with pytest.raises(ValueError, match="pattern=mx must consist of letters m"):
        XLSTM(16, pattern="mx")
    with pytest.raises(ValueError, match="width=12 must be a multiple of 8"):
        XLSTM(12, heads=4)


def test_a_pattern_is_no_longer_than_the_model_is_deep() -> None:
    with pytest.raises(ValueError, match="depth=2 must be at least 4 for pattern=mmms"):
        LanguageModel(("a", "b"), XLSTM, {"pattern": "mmms"}, width=16, depth=2)
