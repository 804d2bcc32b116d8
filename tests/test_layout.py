"""The packages of the harness in the order of a run; each imports only from itself and from those before it.

The few files next to the packages import none of them.
"""

import ast
from pathlib import Path

HARNESS = Path(__file__).resolve().parent.parent / "harness"
STAGES = [
    "registry",
    "config",
    "data",
    "models",
    "compiler",
    "evaluation",
    "training",
    "storage",
    "execution",
    "analysis",
    "report",
    "check",
    "bench",
    "track",
    "api",
    "cli",
]


def imported(file: Path) -> set[str]:
    """Names of the harness packages that a file imports, at its top or inside a function."""
    nodes = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.ImportFrom)]
    return {node.module.split(".")[1] for node in nodes if node.module and node.module.startswith("harness.")}


def test_packages_import_only_earlier_ones() -> None:
    for place, package in enumerate(STAGES):
        for file in (HARNESS / package).rglob("*.py"):
            later = imported(file) - {"errors", "encoding", *STAGES[: place + 1]}
            assert not later, f"{file.relative_to(HARNESS)} imports {', '.join(sorted(later))}, which come later"


def test_the_files_next_to_the_packages_import_no_package() -> None:
    assert not {name for stem in ("errors", "encoding") for name in imported(HARNESS / f"{stem}.py")} & set(STAGES)


def test_the_stages_are_all_packages() -> None:
    assert {path.parent.name for path in HARNESS.glob("*/__init__.py")} == set(STAGES)
    assert len(list(HARNESS.glob("*.py"))) <= 5
