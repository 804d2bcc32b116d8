"""Long evaluations: memory grows as the length, for every architecture and every score and position of attention.

Counted is what tensors hold at once. What fused operators hold inside, and what the allocator makes of it, is measured
by ``lengthwise bench long``.
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
LINEAR = LONG / SHORT


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let lengths be long that a test has time for."""
    monkeypatch.setattr(blockwise, "SIDE", SIDE)


@torch.no_grad()
def most_held(spec: str, length: int) -> int:
    parsed = Spec.parse("architecture", spec, CATALOG)
    small = parsed.with_defaults({"width": 16, "reach": 2 * LONG})
    model = build_model(small, ("a", "b", "<blank>")).eval()
    with PeakMemory() as held:
        model(torch.zeros(1, length, dtype=torch.long), None)
    return held.most


@pytest.mark.parametrize("spec", [*NAMES, *ATTENTION])
def test_memory_grows_as_the_length(spec: str) -> None:
    assert most_held(spec, LONG) < 1.2 * LINEAR * most_held(spec, SHORT)


def test_what_grows_as_the_square_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blockwise, "SIDE", LONG)
    assert most_held("transformer:position=alibi", LONG) > 2 * LINEAR * most_held("transformer:position=alibi", SHORT)


def test_what_is_let_go_is_not_counted() -> None:
    with PeakMemory() as held:
        for _ in range(10):
            kept = torch.zeros(1000)
    assert held.most == 2 * kept.untyped_storage().nbytes()
    assert held.now == kept.untyped_storage().nbytes()
