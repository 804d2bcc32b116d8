"""Cost of greedy decoding: time of one token and size of the state, after sources of 64 to 4096 tokens.

At these lengths constant and growing states differ clearly. The state of an encoder-decoder grows with its source, and
other growing states grow with all tokens read so far.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from architectures.base import SequenceModel, State, state_bytes
from harness.bench.timing import synchronize
from harness.bench.workload import make_workload
from harness.registry.catalog import Catalog

LENGTHS = (64, 256, 1024, 4096)
TIMED = 16
"""Tokens that are decoded after each source; the result is the median of their times."""


@dataclass(frozen=True)
class DecodingCost:
    """Cost for one sequence after a source of ``length`` tokens: seconds of a decoded token, bytes of the state."""

    length: int
    seconds: float
    bytes: int


def measure_decoding(
    spec: str, catalog: Catalog, *, device: str = "cpu", lengths: Sequence[int] = LENGTHS
) -> list[DecodingCost]:
    """Measure each length within the model's maximum length; return nothing if the model cannot be stepped."""
    torch.set_num_threads(1)
    model = make_workload(spec, catalog, device).build().to(device).eval()
    possible = [length for length in lengths if model.reach is None or length + TIMED <= model.reach]
    return [_measure_length(model, length, device) for length in possible] if model.can_step else []


@torch.no_grad()
def _measure_length(model: SequenceModel, length: int, device: str) -> DecodingCost:
    source = torch.zeros(1, length, dtype=torch.long, device=device)
    state, times = model.start(source), []
    size = state_bytes(state)
    for _ in range(TIMED):
        seconds, state = _timed_step(model, source[:, 0], state, device)
        times.append(seconds)
    return DecodingCost(length, median(times), size)


def _timed_step(model: SequenceModel, token: Tensor, state: State, device: str) -> tuple[float, State]:
    synchronize(device)
    start = time.perf_counter()
    _, state = model.step(token, state)
    synchronize(device)
    return time.perf_counter() - start, state
