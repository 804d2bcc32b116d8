"""``lengthwise list`` lists architectures, tasks or suites. It reads their files without importing them."""

import tomllib
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli import arguments
from harness.cli.console import console, print_json, table
from harness.config.suite_files import names, path_of, read_toml
from harness.errors import UserError, suggest
from harness.registry.catalog import Catalog, Kind

KINDS: dict[str, Kind] = {"architectures": "architecture", "tasks": "task"}


Family = Annotated[
    str, typer.Option(metavar="PATTERN", help="Only this family, for example linear; * stands for any text.")
]


def list_(
    what: Annotated[Literal["architectures", "tasks", "suites"], typer.Argument(help="What to list.")],
    family: Family = "*",
    as_json: arguments.Json = False,
    plugin: arguments.Plugins = None,
) -> None:
    """List the available architectures, tasks or suites."""
    if what == "suites" and family != "*":
        raise UserError(f"--family {family}: suites have no family; list architectures or tasks")
    rows = _suites() if what == "suites" else _of_family(_entries(KINDS[what], plugin or []), family)
    if as_json:
        print_json(rows)
        return
    listing = table(f"{len(rows)} {what if len(rows) != 1 else what[:-1]}", *(rows[0] if rows else ()))
    for row in rows:
        listing.add_row(*row.values())
    console().print(listing)


def _of_family(rows: list[dict[str, str]], family: str) -> list[dict[str, str]]:
    """Return the rows of a family; raise :class:`UserError` where there is none."""
    chosen = [row for row in rows if fnmatchcase(row["family"], family)]
    if not chosen:
        raise UserError(f"unknown family {family!r}{suggest(family, {row['family'] for row in rows})}")
    return chosen


def _entries(kind: Kind, plugins: list[Path]) -> list[dict[str, str]]:
    return [
        {"name": entry.name, "family": entry.family, "summary": entry.summary}
        for entry in Catalog(tuple(plugins)).entries[kind].values()
    ]


def _suites() -> list[dict[str, str]]:
    return [{"name": name, **_described(path_of(name))} for name in names()]


def _described(path: Path) -> dict[str, str]:
    """Return time and title in a suite file, or the error in angle brackets where the file cannot be read."""
    try:
        suite = read_toml(path)
        return {"two cores": str(suite.get("takes", "")), "title": str(suite.get("title", ""))}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        return {"two cores": "", "title": f"<broken: {error}>"}
