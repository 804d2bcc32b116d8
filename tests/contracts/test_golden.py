"""The losses of small training runs equal the recorded ones. See ``golden.py``."""

import pytest
from golden import last_loss, names, recorded

COMMAND = "python -m tests.contracts.golden"
TOLERANCE = 1e-4
"""Relative. Processors round differently, and twenty training steps amplify the difference."""


@pytest.mark.parametrize("name", names())
def test_loss(name: str) -> None:
    assert name in recorded(), f"{name} has no golden loss; record it with {COMMAND}"
    message = f"the loss of {name} changed; if that is intended, record it with {COMMAND}"
    assert last_loss(name) == pytest.approx(recorded()[name], rel=TOLERANCE), message


def test_recorded_architectures_all_exist() -> None:
    assert set(recorded()) <= set(names()), f"golden.json has losses of architectures that do not exist; run {COMMAND}"
