"""Every task of the catalog keeps the contract, as it is and with every value of its closed options.

Nothing here names a task: a new file is found and checked. What the checks make sure of stands in ``harness/check``;
``lengthwise check NAME`` makes the same ones. That the answers are right is for the oracles in ``tests/tasks``.
"""

import pytest

from harness.check import TASK_CHECKS, TaskSubject, run_check, variants
from harness.errors import UserError
from harness.registry.catalog import Catalog, Entry
from harness.registry.options import Spec

CATALOG = Catalog()
ENTRIES = [entry for entry in CATALOG.entries["task"].values() if entry.origin == "built-in"]


def specs_of(entry: Entry) -> list[Spec]:
    """The plain task first. A file that does not import has no variants; the contract says what is wrong with it."""
    plain = Spec.parse("task", entry.name, CATALOG)
    try:
        return [plain, *(Spec.of("task", entry.name, options, CATALOG) for options in variants(entry))]
    except UserError:
        return [plain]


@pytest.mark.parametrize("check", TASK_CHECKS)
@pytest.mark.parametrize("spec", [spec for entry in ENTRIES for spec in specs_of(entry)], ids=str)
def test_contract(spec: Spec, check: str) -> None:
    subject = TaskSubject(spec)
    result = run_check(check, TASK_CHECKS[check], subject)
    assert result.ok, result.problem


def test_the_catalog_is_not_empty() -> None:
    assert {"parity", "reverse"} <= {entry.name for entry in ENTRIES}
