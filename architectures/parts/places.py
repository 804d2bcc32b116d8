"""Places: which position each token of a stream is given, before an encoding makes a vector of it.

``identity`` counts from zero. ``offset`` shifts the whole stream at random while training, so that late positions
have been seen although no training stream was long (RASP-L packs its examples that way). ``randomized`` spreads the
tokens over a much longer range as a sorted random subset (Ruoss et al. 2023, section 3), while training and after.

One draw serves the whole batch. At evaluation the draw depends on the length alone, so that scores are repeatable.
"""

import random
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

PlacesName = Literal["identity", "offset", "randomized"]


def identity(length: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``0 .. L-1``."""
    return torch.arange(length, device=device)


def offset(length: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return ``k .. k+L-1`` with ``k`` uniform in ``[0, reach - L]`` while training, 0 otherwise."""
    places = torch.arange(length, device=device)
    if not training or length >= reach:
        return places
    return places + torch.randint(reach - length + 1, (1,), device=device)


def randomized(length: int, reach: int, training: bool, device: torch.device) -> Tensor:
    """Return a sorted random subset of ``range(reach)``, of size ``L``."""
    if training:
        return torch.rand(reach, device=device).argsort()[:length].sort().values
    # Python's generator, because torch's gives every model of a population another draw, seed or no seed.
    return torch.tensor(sorted(random.Random(length).sample(range(reach), length)), device=device)


PLACES: dict[str, Callable[[int, int, bool, torch.device], Tensor]] = {
    "identity": identity,
    "offset": offset,
    "randomized": randomized,
}


def needs_reach(places: str) -> bool:
    """Whether a stream longer than the reach has no places at all."""
    return places == "randomized"
