"""``lengthwise new`` writes a starter file for an architecture or a task."""

import re
from pathlib import Path
from typing import Annotated

import typer

from harness.errors import UserError
from harness.registry.catalog import Catalog, Kind

TEMPLATES = Path(__file__).resolve().parent / "templates"
STARTER = "Starter"
"""Name of the class in each template. It is replaced by a name made from NAME."""

RUN_COMMANDS: dict[Kind, str] = {
    "architecture": "lengthwise run --plugin {path} -a {name} -a lstm -t parity",
    "task": "lengthwise run --plugin {path} -t {name} -a lstm -a transformer",
}


def new(
    kind: Annotated[Kind, typer.Argument(metavar="architecture|task", help="Kind of the starter file.")],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the architecture or task: lowercase letters, digits and underscores."
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the file.")] = Path("."),
) -> None:
    """Write NAME.py, a working architecture or task to start from."""
    _check_name(name, kind)
    path = output / f"{name}.py"
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8").replace(STARTER, _class_name(name))
    output.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} exists already; choose another name or another folder with --output") from None
    print(f"Wrote {path}, a working {kind}. Edit it, then check and run it:\n")
    print(f"  lengthwise check {path}\n  {RUN_COMMANDS[kind].format(path=path, name=name)}")


def _check_name(name: str, kind: Kind) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"name {name!r}: use lowercase letters, digits and underscores, and begin with a letter")
    if name in Catalog().entries[kind]:
        raise UserError(f"{kind} {name!r} exists already; choose another name")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
