"""Contract checks of every built-in task: with default options, and with every value of its closed options.

The catalog lists the tasks, so a new file is checked without a change here. The checks are defined in
``harness/check``; ``lengthwise check NAME`` runs the same ones. The oracles in ``tests/tasks`` test the targets.
"""

import pytest

from harness.check import TASK_CHECKS, run_checks, variants
from harness.errors import UserError
from harness.registry.catalog import Catalog, Entry
from harness.registry.options import Spec

CATALOG = Catalog()
ENTRIES = [entry for entry in CATALOG.entries["task"].values() if entry.origin == "built-in"]


def specs_of(entry: Entry) -> list[Spec]:
    """Return the task with default options, then its variants; a file that cannot be imported has no variants."""
    default = Spec.parse("task", entry.name, CATALOG)
    try:
        return [default, *(Spec.of("task", entry.name, options, CATALOG) for options in variants(entry))]
    except UserError:
        return [default]


FORMATTED = ("parity:padding=2,scratchpad=running", "addition:scratchpad=places")
SPECS = [*(spec for entry in ENTRIES for spec in specs_of(entry)), *(Spec.parse("task", t, CATALOG) for t in FORMATTED)]


@pytest.mark.parametrize("spec", SPECS, ids=str)
def test_contract(spec: Spec) -> None:
    results = list(run_checks(spec))
    assert {result.name for result in results} == TASK_CHECKS.keys()
    assert not [f"{result.name}: {result.problem}" for result in results if not result.ok]


def test_the_catalog_is_not_empty() -> None:
    assert {"parity", "reverse"} <= {entry.name for entry in ENTRIES}
