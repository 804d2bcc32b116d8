"""Places: which position each token of a stream is given, before an encoding makes a vector of it.

``identity`` counts from zero. ``offset`` shifts the whole stream at random while training, so that late positions
have been seen although no training stream was long (RASP-L packs its examples that way). ``randomized`` spreads the
tokens over a much longer range as a sorted random subset (Ruoss et al. 2023, "Randomized Positional Encodings Boost
Length Generalization of Transformers"), while training and after.

Two squeeze a source that is longer than ``reach``, which should be the longest in training. ``linear`` divides all
places by how much longer it is (Chen et al. 2023, "Extending Context Window of Large Language Models via Positional
Interpolation"; without the fine-tuning that they add). ``ntk`` counts from zero and leaves it to ``rope`` to lower its
slow frequencies. Both look at the source alone, so that a token's place does not depend on how long the answer gets.

One draw serves the whole batch. At evaluation the draw depends on the length of the stream alone, so that scores are
repeatable; an answer that is decoded token by token is decoded on places drawn for all of it.
"""

import random
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

PlacesName = Literal["identity", "offset", "randomized", "linear", "ntk"]

REACH = 2048
"""Positions there are where nothing else is said."""


def identity(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``0 .. L-1``."""
    return torch.arange(length, device=device)


def offset(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``k .. k+L-1`` with ``k`` uniform in ``[0, reach - L]`` while training, 0 otherwise."""
    places = torch.arange(length, device=device)
    if not training or length >= reach:
        return places
    return places + torch.randint(reach - length + 1, (1,), device=device)


def randomized(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return a sorted random subset of ``range(reach)``, of size ``L``."""
    if training:
        return torch.rand(reach, device=device).argsort()[:length].sort().values
    # Python's generator, because torch's gives every model of a population another draw, seed or no seed.
    return torch.tensor(sorted(random.Random(length).sample(range(reach), length)), device=device)


def linear(length: int, source: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``0 .. L-1`` divided by :func:`stretch`, float."""
    return torch.arange(length, device=device) / stretch(source, reach)


def stretch(source: int, reach: int) -> float:
    """Return how many times longer a source is than the reach, at least 1."""
    return max(1.0, source / reach)


Places = Callable[[int, int, int, bool, torch.device], Tensor]
PLACES: dict[str, Places] = {
    "identity": identity,
    "offset": offset,
    "randomized": randomized,
    "linear": linear,
    "ntk": identity,
}


def needs_reach(places: str) -> bool:
    """Whether a stream longer than the reach has no places at all."""
    return places == "randomized"


def squeezes(places: str) -> bool:
    """Whether long sources are squeezed, so that places depend on how long a source is."""
    return places in ("linear", "ntk")
