"""``lengthwise list``: what there is, read from the files without importing them."""

import json
import tomllib
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.cli import arguments as given
from harness.registry.catalog import Catalog, Kind

SUITES = Path(__file__).resolve().parent.parent / "suites"
KINDS: dict[str, Kind] = {"architectures": "architecture", "tasks": "task"}


def list_(
    what: Annotated[Literal["architectures", "tasks", "suites"], typer.Argument(help="Of what.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
    plugin: given.Plugins = None,
) -> None:
    """List the architectures, tasks or suites there are."""
    rows = _suites() if what == "suites" else _entries(KINDS[what], plugin or [])
    if as_json:
        print(json.dumps(rows, indent=1, ensure_ascii=False))
        return
    from harness.cli.console import console, table

    made = table(f"{len(rows)} {what}", *(rows[0] if rows else ()))
    for row in rows:
        made.add_row(*row.values())
    console().print(made)


def _entries(kind: Kind, plugins: list[Path]) -> list[dict[str, str]]:
    """An entry that is not built in has its origin for a family."""
    return [
        {"name": entry.name, "family": entry.family, "summary": entry.summary}
        for entry in Catalog(tuple(plugins)).entries[kind].values()
    ]


def _suites() -> list[dict[str, str]]:
    return [{"name": path.stem, "title": _title(path)} for path in sorted(SUITES.glob("*.toml"))]


def _title(path: Path) -> str:
    try:
        return str(tomllib.loads(path.read_text()).get("title", ""))
    except (tomllib.TOMLDecodeError, OSError) as error:
        return f"<broken: {error}>"
