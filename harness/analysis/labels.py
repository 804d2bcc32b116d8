"""Labels of recorded cells: the names of architectures and tasks in tables, and one row for each cell.

Older records have options at their default in their specs. Their labels are those that the cells have now.
"""

from collections.abc import Mapping
from typing import Any

from harness.config.recipe import Recipe
from harness.config.stages import pipeline_name
from harness.errors import UserError
from harness.registry.catalog import Catalog, Kind
from harness.registry.options import Spec, text_of


def label_of(
    kind: Kind,
    values: dict[str, Any],
    shared: dict[str, Any],
    catalog: Catalog,
    defaults: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Return ``name:key=value`` with the options in which a spec differs from its bare name in the suite.

    ``shared`` are the options that the suite sets for all architectures that have them. Where the code or an option is
    gone, the recorded ``defaults`` of its options by name take their place; without them, the recorded options are
    compared with ``shared`` only.
    """
    name, options = values["name"], values["options"]
    try:
        spec = Spec.of(kind, name, options, catalog).resolved()
        bare = Spec.of(kind, name, {}, catalog).with_defaults(shared).resolved()
    except UserError:
        of_entry = (defaults or {}).get(name)
        spec, bare = options, shared
        if of_entry is not None:
            spec, bare = {**of_entry, **options}, {**of_entry, **{k: v for k, v in shared.items() if k in of_entry}}
    return text_of(name, {key: value for key, value in sorted(spec.items()) if key not in bare or bare[key] != value})


def label_of_text(kind: Kind, text: str, shared: dict[str, Any], catalog: Catalog) -> str:
    """Return the label of a spec as a suite writes it; raise :class:`UserError` where it cannot be read."""
    spec = Spec.parse(kind, text, catalog).with_defaults(shared)
    return label_of(kind, {"name": spec.name, "options": dict(spec.written)}, shared, catalog)


def without_second_ids(rows: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return one row for each cell, and a note if older records have some cells under a second id.

    Older ids contain options at their default, so ``lstm`` and ``lstm:width=64`` were two cells. The one that is
    finished is kept; of two finished ones, the one with the id that the cell has now.
    """
    ids: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        ids.setdefault(row["current"], []).append(row)
    chosen = {
        current: min(same, key=lambda row: (row["status"] != "done", row["cell"] != current))["cell"]
        for current, same in ids.items()
    }
    kept = [row for row in rows if row["cell"] == chosen[row["current"]]]
    count = len({row["cell"] for row in rows}) - len({row["cell"] for row in kept})
    note = f"{count} cells are recorded twice, with and without options at their default; one of each is shown"
    return kept, [note] if count else []


def add_recipes_to_labels(rows: list[dict[str, Any]]) -> None:
    """Add to the label of a task that was trained with several recipes the values in which they differ."""
    defaults = Recipe().model_dump()  # records lack the newer keys while they have their default
    rows_by_task: dict[str, list[dict[str, Any]]] = {}
    for row in rows:
        row["recipe"] = defaults | row["recipe"]
        rows_by_task.setdefault(row["task"], []).append(row)
    for task, same in rows_by_task.items():
        first = same[0]["recipe"]
        keys = dict.fromkeys(key for row in same for key in row["recipe"])  # a newer version may know other keys
        differing = [key for key in keys if any(row["recipe"].get(key) != first.get(key) for row in same)]
        for row in same if differing else ():
            values = " ".join(f"{key}={_short(key, row['recipe'].get(key, 'default'))}" for key in differing)
            row["task"] = f"{task} [{values}]"


def _short(key: str, value: Any) -> str:
    """Return a value of a recipe as a suite or the command line writes it."""
    if key == "stages":
        return pipeline_name(value)
    return ",".join(f"{key}={item}" for key, item in value.items()) if isinstance(value, dict) else str(value)
