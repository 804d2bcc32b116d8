"""The version of all code that a trained model depends on: its architecture, its task, the training and the user's."""

from harness.config.cell import Cell
from harness.registry.fingerprint import fingerprints_of, training_fingerprint
from harness.training.custom import custom_fingerprints


def cell_fingerprints(cell: Cell) -> dict[str, str]:
    """Return the fingerprints of the current code behind a cell, as records store them."""
    return fingerprints_of(cell.specs) | {"training": training_fingerprint()} | custom_fingerprints(cell.recipe)
