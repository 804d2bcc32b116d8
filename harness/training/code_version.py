"""The version of all code that a trained model depends on: its architecture, its task, the training and the user's."""

from functools import cache
from pathlib import Path

from harness.config.cell import Cell
from harness.config.recipe import Recipe
from harness.registry.fingerprint import code_hash, fingerprints_of, training_fingerprint
from harness.training.custom import custom_fingerprints

STAGES = Path(__file__).with_name("stages")
"""The folder with one file for each kind of stage."""

PACKAGES = {"compiled": Path(__file__).parents[1] / "compiler"}
"""The package that a kind of stage depends on next to its file."""


def cell_fingerprints(cell: Cell) -> dict[str, str]:
    """Return the fingerprints of the current code behind a cell, as records store them."""
    trained = {"training": training_fingerprint()} | stage_fingerprints(cell.recipe)
    return fingerprints_of(cell.specs) | trained | custom_fingerprints(cell.recipe)


def stage_fingerprints(recipe: Recipe) -> dict[str, str]:
    """Return the fingerprint of the code of each kind of stage in a recipe that has stages."""
    kinds = sorted({part.stage.kind for part in recipe.timeline()}) if recipe.stages else []
    return {f"stage {kind}": _fingerprint_of_stage(kind) for kind in kinds}


@cache
def _fingerprint_of_stage(kind: str) -> str:
    shared = ("answers", "extra_rows", "low_rank", "pairs", "reference", "sampled", "scorer")
    return code_hash(*(STAGES / f"{name}.py" for name in (kind, *shared)))
