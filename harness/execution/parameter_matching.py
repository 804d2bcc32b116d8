"""Parameter matching: choose the width of each architecture so that all have about the same number of parameters.

A suite asks for it with ``match = "parameters:300k"``. A binary search over multiples of eight, which numbers of heads
usually divide, finds the two widths around the target. All widths between them that the architecture accepts are tried.
"""

import re

from architectures.base import SequenceModel
from harness.errors import UserError
from harness.models.cost import parameters
from harness.models.shape_only import shape_only
from harness.registry.limits import MOST_PARAMETERS
from harness.registry.options import Spec, build_model, options_of

_SUFFIX = {"": 1, "k": 1_000, "m": 1_000_000}
TOLERANCE = 0.05


def parse_match(text: str) -> int:
    """Return the number of parameters that a text like ``parameters:300k`` stands for."""
    match = re.fullmatch(r"parameters:([0-9]+(?:\.[0-9]+)?)([km]?)", text.strip().lower())
    if not match:
        raise UserError(f"match {text!r}: write parameters:NUMBER, for example parameters:300k")
    target = round(float(match[1]) * _SUFFIX[match[2]])
    if not 1 <= target <= MOST_PARAMETERS:
        raise UserError(f"match {text!r}: must be from 1 to {MOST_PARAMETERS}, for example parameters:300k")
    return target


def count(spec: Spec, symbols: tuple[str, ...]) -> int:
    """Return the number of parameters of a spec; the parameters are not allocated if possible."""
    return parameters(build_unallocated(spec, symbols))


def build_unallocated(spec: Spec, symbols: tuple[str, ...]) -> SequenceModel:
    """Build a model on the meta device, or on the CPU if its constructor needs the values of its parameters."""
    try:
        with shape_only():
            return build_model(spec, symbols)
    except UserError:
        raise
    except Exception:
        return build_model(spec, symbols)


def solve_width(spec: Spec, symbols: tuple[str, ...], target: int) -> tuple[Spec, int]:
    """Return the spec at the width whose parameters are nearest to ``target``, and their number."""
    if "width" not in options_of(spec.entry):
        raise UserError(f"match: architecture {spec.name} has no option width; remove match or the architecture")
    low, high = 1, 512
    while low < high:
        middle = (low + high) // 2
        if count(_with_width(spec, 8 * middle), symbols) < target:
            low = middle + 1
        else:
            high = middle
    candidates = (_with_width(spec, width) for width in range(8 * max(1, low - 1), 8 * low + 1))
    sizes = [(candidate, size) for candidate in candidates if (size := _count_if_buildable(candidate, symbols))]
    return min(sizes, key=lambda pair: abs(pair[1] - target))


def _count_if_buildable(spec: Spec, symbols: tuple[str, ...]) -> int:
    """Return the number of parameters, or 0 if the architecture does not accept the width."""
    try:
        return count(spec, symbols)
    except UserError:
        return 0


def _with_width(spec: Spec, width: int) -> Spec:
    return spec.with_options({"width": width})
