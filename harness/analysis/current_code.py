"""What the current code says about recorded cells: their labels, their ids, and whether they are stale.

The cells of a run differ mostly in seed and learning rate, which none of this depends on, so the code is asked once for
each architecture, task and recipe.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from harness.analysis.labels import label_of
from harness.config.cell import Cell, cell_of
from harness.config.recipe import make_recipe
from harness.errors import UserError
from harness.execution.recorded_code import recipe_fingerprints, unread_plugins
from harness.registry.catalog import PACKAGES, Catalog, Kind
from harness.registry.fingerprint import fingerprint_of, training_fingerprint
from harness.registry.options import Spec
from harness.storage.records import RunRecord
from harness.training.code_version import stage_fingerprints


@dataclass(frozen=True)
class CurrentGroup:
    """What holds for all cells of one architecture, task and recipe.

    ``architecture`` and ``task`` are labels, ``family`` and ``task_family`` the folders of their files.
    ``fingerprints`` are those of the current code by kind and recipe key; code that is gone has none. ``cell`` is one
    of the cells in canonical form, ``None`` where its code is gone.
    """

    architecture: str
    task: str
    family: str
    task_family: str
    fingerprints: Mapping[str, str]
    cell: Cell | None

    def id_of(self, cell: str, values: Mapping[str, Any]) -> str:
        """Return the id that a recorded cell has now; its own id ``cell`` where its code or its options are gone."""
        if self.cell is None:
            return cell
        return replace(self.cell, learning_rate=values["learning_rate"], seed=values["seed"]).id

    def is_stale(self, recorded: Mapping[str, str]) -> bool:
        """Whether the current code differs from the code with the ``recorded`` fingerprints."""
        return any(recorded.get(kind) != value for kind, value in self.fingerprints.items())


class CurrentCode:
    """Looks up recorded cells of one run in the current code.

    Args:
        catalog: the entries of today.
        run: the description of the run. Its plug-ins are not run, except those that the catalog has.
    """

    def __init__(self, catalog: Catalog, run: RunRecord) -> None:
        self._catalog, self._run, self._shared = catalog, run, run.suite.model
        self._unread = {path.stem for path in unread_plugins(run, catalog)}
        self._groups: dict[str, CurrentGroup] = {}
        self._fingerprint = cache(fingerprint_of)

    def of(self, values: dict[str, Any]) -> CurrentGroup:
        """Return what the code says about the cell with these recorded values."""
        key = json.dumps([values[name] for name in ("architecture", "task", "recipe")], sort_keys=True)
        if key not in self._groups:
            self._groups[key] = self._look_up(values)
        return self._groups[key]

    def _look_up(self, values: dict[str, Any]) -> CurrentGroup:
        families = {kind: self._family(kind, values[kind]["name"]) for kind in PACKAGES}
        return CurrentGroup(
            architecture=self._label("architecture", values, self._shared),
            task=self._label("task", values, {}),
            family=families["architecture"],
            task_family=families["task"],
            fingerprints=self._fingerprints(values),
            cell=_canonical(values, self._catalog),
        )

    def _label(self, kind: Kind, values: dict[str, Any], shared: dict[str, Any]) -> str:
        return label_of(kind, values[kind], shared, self._catalog, self._run.plugin_defaults.get(kind))

    def _family(self, kind: Kind, name: str) -> str:
        entry = self._catalog.entries[kind].get(name)
        if entry is None:
            return "plug-in" if name.partition(".")[0] in self._unread else "unknown"
        return entry.family

    def _is_read(self, kind: Kind, name: str, options: dict[str, Any]) -> bool:
        """Whether an entry is in the catalog and its options name no plug-in that is not."""
        words = {word for value in options.values() if isinstance(value, str) for word in value.split("+")}
        return name in self._catalog.entries[kind] and not words & self._unread

    def _fingerprints(self, values: dict[str, Any]) -> dict[str, str]:
        """Return the fingerprints of the current code; code that is unknown or not run has none."""
        specs = [
            Spec(kind, values[kind]["name"], tuple(sorted(values[kind]["options"].items())), catalog=self._catalog)
            for kind in PACKAGES
            if self._is_read(kind, values[kind]["name"], values[kind]["options"])
        ]
        try:
            recipe = make_recipe(values["recipe"])
            of_recipe = recipe_fingerprints(recipe) | stage_fingerprints(recipe)
        except UserError:
            of_recipe = {}
        return {spec.kind: self._fingerprint(spec) for spec in specs} | {"training": training_fingerprint()} | of_recipe


def _canonical(values: dict[str, Any], catalog: Catalog) -> Cell | None:
    try:
        return cell_of(values, catalog).canonical_form()
    except UserError:
        return None
