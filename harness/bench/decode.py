"""What a token costs while decoding: time and state after 64 to 4096 tokens, where constant and growing states part."""

import time
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from torch import Tensor

from architectures.base import SequenceModel, State, state_bytes
from harness.bench.subject import make_subject
from harness.bench.timing import synchronize
from harness.catalog import Catalog

LENGTHS = (64, 256, 1024, 4096)
AROUND = 16
"""Tokens that are timed before each length; their median counts."""


@dataclass(frozen=True)
class Decode:
    """After so many tokens: seconds of the next one and bytes of the state, of one sequence."""

    length: int
    seconds: float
    bytes: int


def decode_costs(spec: str, catalog: Catalog, *, device: str = "cpu", lengths: Sequence[int] = LENGTHS) -> list[Decode]:
    """Decode one sequence to the longest length within the model's reach; empty where it cannot step."""
    torch.set_num_threads(1)
    model = make_subject(spec, catalog, device).build().to(device).eval()
    within = [length for length in lengths if model.reach is None or length < model.reach]
    return list(_walk(model, within, device)) if model.steps else []


@torch.no_grad()
def _walk(model: SequenceModel, lengths: Sequence[int], device: str) -> Iterator[Decode]:
    token = torch.zeros(1, dtype=torch.long, device=device)
    state, done, spent = model.start(token[:, None]), 1, deque[float](maxlen=AROUND)
    for length in lengths:
        while done < length:
            seconds, state = _timed_step(model, token, state, device)
            spent.append(seconds)
            done += 1
        yield Decode(length, median(spent), state_bytes(state))


def _timed_step(model: SequenceModel, token: Tensor, state: State, device: str) -> tuple[float, State]:
    synchronize(device)
    began = time.perf_counter()
    _, state = model.step(token, state)
    synchronize(device)
    return time.perf_counter() - began, state
