"""``lengthwise new`` writes a starter file for an architecture, a task or a RASP-L program."""

import keyword
import re
from pathlib import Path
from typing import Annotated, Literal

import typer

from harness.errors import UserError
from harness.registry.catalog import Catalog

TEMPLATES = Path(__file__).resolve().parent / "templates"
STARTER = "Starter"
"""Name of the class in a template; in small letters, of the function. It is replaced by a name made from NAME."""

Template = Literal["architecture", "task", "program"]

RUN_COMMANDS: dict[Template, str] = {
    "architecture": "lengthwise run -a {path} -a lstm -t parity",
    "task": "lengthwise run -t {path} -a lstm -a transformer",
    "program": "lengthwise run -t {path}:{name} -a lstm -a transformer",
}


def new(
    kind: Annotated[
        Template, typer.Argument(metavar="architecture|task|program", help="Kind of the starter; program is RASP-L.")
    ],
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Name of the file and its entry: lowercase letters, digits and underscores."
        ),
    ],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the file.")] = Path("."),
) -> None:
    """Write NAME.py, a working architecture, task or RASP-L program to start from."""
    _check_name(name, kind)
    path = output / f"{name}.py"
    text = (TEMPLATES / f"{kind}.py").read_text(encoding="utf-8")
    text = text.replace(STARTER, _class_name(name)).replace(STARTER.lower(), name)
    output.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} exists already; choose another name or another folder with --output") from None
    print(f"Wrote {path}, a working {kind}. Edit it, then check and run it:\n")
    print(f"  lengthwise check {path}\n  {RUN_COMMANDS[kind].format(path=path, name=name)}")


def _check_name(name: str, kind: Template) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"name {name!r}: use lowercase letters, digits and underscores, and begin with a letter")
    if name in Catalog().entries["architecture" if kind == "architecture" else "task"]:
        raise UserError(f"{kind} {name!r} exists already; choose another name")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
