"""The lengths of a plan: at which training and test lengths the cells of a task are evaluated."""

from collections.abc import Iterable

from harness.config.lengths import even_grid, parse_grid
from harness.config.recipe import Recipe
from harness.data.step_lengths import train_lengths
from harness.errors import UserError
from harness.registry.options import Spec, build_task

IN_RANGE_POINTS = 5
"""Training lengths at which every cell is evaluated, evenly spaced and including both ends."""
NAMED_LENGTHS = 8
"""The most missing lengths that a note lists."""


def in_range_lengths(spec: Spec, recipe: Recipe) -> list[int]:
    """Return a few training lengths, at which every cell is evaluated."""
    task = build_task(spec)
    trained = train_lengths(task, recipe)
    if not trained:
        lengths = _range_text(task.lengths)
        raise UserError(f"task {spec} has no length in train lengths {recipe.train_lengths}; it has {lengths}")
    if 0 < recipe.distinct < len(trained):
        raise UserError(
            f"task {spec}: distinct={recipe.distinct}: must be 0 or at least {len(trained)}, one sequence for each "
            f"training length; the nearest is {len(trained)}"
        )
    return [trained[i] for i in even_grid(0, len(trained) - 1, IN_RANGE_POINTS)]


def requested_lengths(spec: Spec, recipe: Recipe, text: str) -> list[int]:
    """Return the test lengths of a task; raise :class:`UserError` if any of them is a training length."""
    lengths, trained = parse_grid(text, "test lengths"), recipe.train_lengths
    inside = [length for length in lengths if length in trained]
    if inside:
        raise UserError(
            f"task {spec}: test length {inside[0]} lies inside the training lengths {trained}, which are evaluated "
            f"anyway; use greater test lengths, for example {trained.high + 1}:{5 * trained.high}"
        )
    return lengths


def available_lengths(spec: Spec, requested: Iterable[int]) -> tuple[int, ...]:
    """Return the requested lengths that the task has."""
    lengths = build_task(spec).lengths
    available = tuple(length for length in requested if length in lengths)
    if not available:
        raise UserError(f"task {spec} has none of the test lengths; it has {_range_text(lengths)}")
    return available


def skipped_note(spec: Spec, requested: Iterable[int]) -> str:
    """Return a note about the requested lengths that the task does not have; empty if it has all."""
    lengths = build_task(spec).lengths
    missing = [length for length in requested if length not in lengths]
    if not missing:
        return ""
    listed = ", ".join(map(str, missing[:NAMED_LENGTHS])) + (", ..." if len(missing) > NAMED_LENGTHS else "")
    return f"{spec} has no length {listed}; skipped (it has {_range_text(lengths)})"


def _range_text(lengths: range) -> str:
    step = f" in steps of {lengths.step}" if lengths.step != 1 else ""
    return f"{lengths[0]} to {lengths[-1]}{step}"
