"""The suite files that come with the package. This module imports nothing heavy, so that lists are printed quickly."""

import tomllib
from pathlib import Path
from typing import Any

SUITES = Path(__file__).resolve().parents[1] / "suites"


def path_of(name: str) -> Path:
    """Return the path of the shipped suite ``name``; the file need not exist."""
    return SUITES / f"{name}.toml"


def is_suite_file(text: str) -> bool:
    """Whether a text is the path of a suite file rather than the name of a shipped suite."""
    return text.lower().endswith(".toml")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file, which is UTF-8 with or without a byte order mark."""
    return tomllib.loads(path.read_text(encoding="utf-8-sig"))


def names() -> list[str]:
    """Return the names of the shipped suites in the order of their files."""
    return [path.stem for path in sorted(SUITES.glob("*.toml"))]
