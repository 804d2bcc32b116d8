"""Memory of long evaluations grows linearly with length, for every architecture, attention score and position encoding.

The tests count the bytes of all live tensors. Memory inside fused operators and the overhead of the allocator are
measured by ``lengthwise bench long``.
"""

import pytest
import torch

from architectures.parts import blockwise
from harness.bench.roofline import PeakMemory
from harness.registry.catalog import Catalog
from harness.registry.options import Spec, build_model

CATALOG = Catalog()
NAMES = [entry.name for entry in CATALOG.entries["architecture"].values() if entry.origin == "built-in"]
ATTENTION = [
    *(f"transformer:position={name}" for name in ("none", "alibi", "t5", "transformer_xl", "fire")),
    *("transformer:score=cosine", "transformer:score=additive", "transformer:window=8", "transformer:kernel=math"),
    *("encoder:position=alibi", "encoder:kernel=math", "luong:input_feeding=false", "luong:score=concat"),
]
SHORT, LONG, SIDE = 160, 480, 64
GROWTH = LONG / SHORT


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Use small query blocks, so that sources of a few hundred tokens count as long."""
    monkeypatch.setattr(blockwise, "SIDE", SIDE)


@torch.no_grad()
def peak_memory(spec: str, length: int) -> int:
    parsed = Spec.parse("architecture", spec, CATALOG)
    small = parsed.with_defaults({"width": 16, "reach": 2 * LONG})
    model = build_model(small, ("a", "b", "<blank>")).eval()
    with PeakMemory() as memory:
        model(torch.zeros(1, length, dtype=torch.long), None)
    return memory.peak


@pytest.mark.parametrize("spec", [*NAMES, *ATTENTION])
def test_memory_grows_linearly_with_length(spec: str) -> None:
    assert peak_memory(spec, LONG) < 1.2 * GROWTH * peak_memory(spec, SHORT)


def test_quadratic_growth_is_detected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "SIDE", LONG)
    short, long = (peak_memory("transformer:position=alibi", length) for length in (SHORT, LONG))
    assert long > 2 * GROWTH * short


def test_freed_tensors_are_not_counted() -> None:
    with PeakMemory() as memory:
        for _ in range(10):
            tensor = torch.zeros(1000)  # the new tensor is allocated before the old one is freed
    assert memory.peak == 2 * tensor.untyped_storage().nbytes()
    assert memory.current == tensor.untyped_storage().nbytes()
