"""Position ids: the position that each token of a stream gets before an encoding turns it into a vector.

The option ``places`` selects one of five schemes:

identity    counts from zero
offset      shifts the whole stream by a random offset in training, so that late positions are trained although no
            training stream is long (RASP-L packs its examples that way)
randomized  is a sorted random subset of a much longer range, in training and in evaluation (Ruoss et al. 2023,
            "Randomized Positional Encodings Boost Length Generalization of Transformers")
linear      divides all positions of a source longer than ``reach`` by ``source / reach`` (Chen et al. 2023, "Extending
            Context Window of Large Language Models via Positional Interpolation"; without their fine-tuning)
ntk         counts from zero; ``rope`` lowers its slow frequencies for sources longer than ``reach``

For ``linear`` and ``ntk``, ``reach`` should be the longest source in training. Both depend on the source length only,
so that a token's position does not depend on the length of the answer.

All rows of a batch share one random draw. In evaluation the draw depends on the length of the stream only, so that
scores are repeatable. An answer that is decoded token by token uses positions drawn for the whole answer.
"""

import random
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

PositionIdsName = Literal["identity", "offset", "randomized", "linear", "ntk"]

REACH = 2048
"""The default number of position ids."""


def identity(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``0 .. L-1``."""
    return torch.arange(length, device=device)


def offset(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``k .. k+L-1`` with ``k`` uniform in ``[0, reach - L]`` while training, 0 otherwise."""
    indices = torch.arange(length, device=device)
    if not training or length >= reach:
        return indices
    return indices + torch.randint(reach - length + 1, (1,), device=device)


def randomized(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return a sorted random subset of ``range(reach)``, of size ``L``."""
    if training:
        return torch.rand(reach, device=device).argsort()[:length].sort().values
    # Python's generator, because torch's would give every model of a population a different draw, even if seeded.
    return torch.tensor(sorted(random.Random(length).sample(range(reach), length)), device=device)


def linear(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``0 .. L-1`` divided by :func:`scale`, float."""
    return torch.arange(length, device=device) / scale(source, reach)


def scale(source: int, reach: int) -> float:
    """Return the source length divided by the reach, at least 1."""
    return max(1.0, source / reach)


Scheme = Callable[[int, int, int, bool, torch.device], Tensor]
"""Maps (stream length, source length, reach, training, device) to position ids ``[L]``."""

POSITION_IDS: dict[str, Scheme] = {
    "identity": identity,
    "offset": offset,
    "randomized": randomized,
    "linear": linear,
    "ntk": identity,
}


def needs_reach(places: str) -> bool:
    """Whether streams longer than the reach have no position ids."""
    return places == "randomized"


def interpolates(places: str) -> bool:
    """Whether positions of long sources are interpolated, so that they depend on the source length."""
    return places in ("linear", "ntk")
