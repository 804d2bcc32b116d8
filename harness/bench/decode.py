"""Cost of greedy decoding: time to the first token, time of each later token, and size of the state.

Sources have 64 to 65,536 tokens, over which constant and growing states, and linear and quadratic times, differ
clearly. The state of an encoder-decoder grows with its source, and other growing states grow with all tokens read.

The time to the first token is that of reading the source and of one step. A length is left out if it is beyond the
model's ``reach``, or if the shorter lengths predict more than :data:`LIMIT` seconds for one reading: the time to the
first token is extended as a power of the length, through the last two lengths measured and at least linear.
"""

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from architectures.base import SequenceModel, State, state_bytes
from harness.bench.timing import synchronize, time_calls
from harness.bench.workload import make_workload
from harness.registry.catalog import Catalog

LENGTHS = (64, 1024, 8192, 65536)
READINGS = 3
"""Timed readings of each source, after one that warms the model up; the time to the first token is their median."""
TIMED = 16
"""Tokens that are decoded after each source; the time of a token is the median of their times."""
LIMIT = 20.0
"""Predicted seconds to the first token above which a length is not measured."""


@dataclass(frozen=True)
class DecodingCost:
    """Cost for one sequence after a source of ``length`` tokens.

    first: seconds to the first token, which read the source.
    seconds: seconds of each later token.
    bytes: size of the state after the source.
    """

    length: int
    first: float
    seconds: float
    bytes: int


def measure_decoding(
    spec: str, catalog: Catalog, *, device: str = "cpu", lengths: Sequence[int] = LENGTHS, limit: float = LIMIT
) -> list[DecodingCost]:
    """Measure ascending lengths within the model's maximum length and the limit, in seconds.

    Returns nothing if the model cannot be stepped.
    """
    torch.set_num_threads(1)
    model = make_workload(spec, catalog, device).build().to(device).eval()
    if not model.can_step:
        return []
    costs: list[DecodingCost] = []
    for length in (n for n in lengths if model.reach is None or n + TIMED <= model.reach):
        if predicted_seconds(costs, length) > limit:
            break
        costs.append(_measure_length(model, length, device))
    return costs


def predicted_seconds(costs: Sequence[DecodingCost], length: int) -> float:
    """Predict the time to the first token at a longer length; 0 if nothing was measured."""
    if not costs:
        return 0.0
    last, exponent = costs[-1], 1.0
    if len(costs) > 1:
        before = costs[-2]
        exponent = max(1.0, math.log(last.first / before.first) / math.log(last.length / before.length))
    return last.first * (length / last.length) ** exponent


@torch.no_grad()
def _measure_length(model: SequenceModel, length: int, device: str) -> DecodingCost:
    source = torch.zeros(1, length, dtype=torch.long, device=device)
    state, times = model.start(source), []  # the first reading warms the model up
    size = state_bytes(state)
    first = median(
        time_calls(lambda: model.step(source[:, 0], model.start(source)), 1, device) for _ in range(READINGS)
    )
    for _ in range(TIMED):
        seconds, state = _timed_step(model, source[:, 0], state, device)
        times.append(seconds)
    return DecodingCost(length, first, median(times), size)


def _timed_step(model: SequenceModel, token: Tensor, state: State, device: str) -> tuple[float, State]:
    synchronize(device)
    start = time.perf_counter()
    _, state = model.step(token, state)
    synchronize(device)
    return time.perf_counter() - start, state
