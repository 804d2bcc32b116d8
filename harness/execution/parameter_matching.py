"""Matching: give every architecture of a comparison the same number of parameters by solving its width.

``match = "parameters:300k"`` in a suite. Multiples of eight bracket the width, because heads divide them; between the
two nearest, every width that the architecture takes is tried.
"""

import re

import torch

from harness.errors import UserError
from harness.models.cost import parameters
from harness.registry.options import Spec, build_model, options_of

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000}
TOLERANCE = 0.05


def parse_match(text: str) -> int:
    """Read ``parameters:300k`` and return the number."""
    found = re.fullmatch(r"parameters:([\d.]+)([km]?)", text.strip().lower())
    if not found:
        raise UserError(f"match {text!r}: write parameters:NUMBER, for example parameters:300k")
    return round(float(found[1]) * _SUFFIX[found[2]])


def count(spec: Spec, symbols: tuple[str, ...]) -> int:
    """Return the parameters of a spec without allocating them."""
    with torch.device("meta"):
        return parameters(build_model(spec, symbols))


def solve_width(spec: Spec, symbols: tuple[str, ...], target: int) -> tuple[Spec, int]:
    """Return the spec with the width nearest to ``target`` parameters, and its count."""
    if "width" not in options_of(spec.entry):
        raise UserError(f"match: architecture {spec.name} has no option width to solve for")
    low, high = 1, 512
    while low < high:
        middle = (low + high) // 2
        if count(_wide(spec, 8 * middle), symbols) < target:
            low = middle + 1
        else:
            high = middle
    between = (_wide(spec, width) for width in range(8 * max(1, low - 1), 8 * low + 1))
    counted = [(each, size) for each in between if (size := _count_if_buildable(each, symbols))]
    return min(counted, key=lambda pair: abs(pair[1] - target))


def _count_if_buildable(spec: Spec, symbols: tuple[str, ...]) -> int:
    """Return the parameters, zero for a width that the architecture does not take."""
    try:
        return count(spec, symbols)
    except UserError:
        return 0


def _wide(spec: Spec, width: int) -> Spec:
    return spec.with_options({"width": width})
