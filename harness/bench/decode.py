"""What a token costs while decoding: time and state after sources of 64 to 4096 tokens.

There constant and growing states part: those of encoder-decoders grow with the source, others with all they have read.
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
"""Tokens that are decoded after each source; the median of their times counts."""


@dataclass(frozen=True)
class Decode:
    """After a source of so many tokens: seconds of an answer's token and bytes of the state, of one sequence."""

    length: int
    seconds: float
    bytes: int


def decode_costs(spec: str, catalog: Catalog, *, device: str = "cpu", lengths: Sequence[int] = LENGTHS) -> list[Decode]:
    """Decode after a source of each length within the model's reach; empty where it cannot step."""
    torch.set_num_threads(1)
    model = make_workload(spec, catalog, device).build().to(device).eval()
    within = [length for length in lengths if model.reach is None or length + TIMED <= model.reach]
    return [_decoded(model, length, device) for length in within] if model.can_step else []


@torch.no_grad()
def _decoded(model: SequenceModel, length: int, device: str) -> Decode:
    source = torch.zeros(1, length, dtype=torch.long, device=device)
    state, spent = model.start(source), []
    size = state_bytes(state)
    for _ in range(TIMED):
        seconds, state = _timed_step(model, source[:, 0], state, device)
        spent.append(seconds)
    return Decode(length, median(spent), size)


def _timed_step(model: SequenceModel, token: Tensor, state: State, device: str) -> tuple[float, State]:
    synchronize(device)
    began = time.perf_counter()
    _, state = model.step(token, state)
    synchronize(device)
    return time.perf_counter() - began, state
