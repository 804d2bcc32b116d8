"""``lengthwise list`` lists architectures, tasks or suites. It reads their files without importing them."""

import json
import sys
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli import arguments
from harness.config.suite_files import names, path_of, read_toml
from harness.registry.catalog import Catalog, Kind

KINDS: dict[str, Kind] = {"architectures": "architecture", "tasks": "task"}


def list_(
    what: Annotated[Literal["architectures", "tasks", "suites"], typer.Argument(help="What to list.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    plugin: arguments.Plugins = None,
) -> None:
    """List the available architectures, tasks or suites."""
    rows = _suites() if what == "suites" else _entries(KINDS[what], plugin or [])
    if as_json:
        # Escapes keep what an encoding other than UTF-8 would lose.
        print(json.dumps(rows, indent=1, ensure_ascii=not (sys.stdout.encoding or "").lower().startswith("utf")))
        return
    from harness.cli.console import console, table

    listing = table(f"{len(rows)} {what}", *(rows[0] if rows else ()))
    for row in rows:
        listing.add_row(*row.values())
    console().print(listing)


def _entries(kind: Kind, plugins: list[Path]) -> list[dict[str, str]]:
    return [
        {"name": entry.name, "family": entry.family, "summary": entry.summary}
        for entry in Catalog(tuple(plugins)).entries[kind].values()
    ]


def _suites() -> list[dict[str, str]]:
    return [{"name": name, "title": _title(path_of(name))} for name in names()]


def _title(path: Path) -> str:
    """Return the title in a suite file, or the error in angle brackets where the file cannot be read."""
    try:
        return str(read_toml(path).get("title", ""))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        return f"<broken: {error}>"
