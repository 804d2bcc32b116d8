"""The suite files that come with the package. This module imports nothing heavy, so that lists are printed quickly."""

from pathlib import Path

SUITES = Path(__file__).resolve().parents[1] / "suites"


def path_of(name: str) -> Path:
    """Return the path of the shipped suite ``name``; the file need not exist."""
    return SUITES / f"{name}.toml"


def names() -> list[str]:
    """Return the names of the shipped suites in the order of their files."""
    return [path.stem for path in sorted(SUITES.glob("*.toml"))]
