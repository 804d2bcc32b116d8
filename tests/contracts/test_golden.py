"""The golden run: a loss that moved is noticed. See ``golden.py``."""

import pytest
from golden import last_loss, names, recorded

RECORD = "python -m tests.contracts.golden"
TOLERANCE = 1e-4
"""Relative: other processors round differently, and twenty steps carry that along."""


@pytest.mark.parametrize("name", names())
def test_loss(name: str) -> None:
    assert name in recorded(), f"{name} has no golden loss yet; record it: {RECORD}"
    message = f"the loss of {name} moved; if that is meant, record it anew: {RECORD}"
    assert last_loss(name) == pytest.approx(recorded()[name], rel=TOLERANCE), message


def test_nothing_is_recorded_for_what_is_gone() -> None:
    assert set(recorded()) <= set(names()), f"record anew: {RECORD}"
