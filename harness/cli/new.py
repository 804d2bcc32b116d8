"""``lengthwise new`` and ``lengthwise check``: a starter file, and what the contract says of it."""

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from harness.cli import arguments as given
from harness.errors import UserError
from harness.registry.catalog import Catalog, Entry, Kind, program_of

if TYPE_CHECKING:
    from rich.table import Table

    from harness.check import Result

TEMPLATES = Path(__file__).resolve().parent / "templates"
STARTER = "Starter"
"""The name of the class in every template."""

NEXT: dict[Kind, str] = {
    "architecture": "lengthwise run --plugin {path} -a {name} -a lstm -t parity",
    "task": "lengthwise run --plugin {path} -t {name} -a lstm -a transformer",
}


def new(
    kind: Annotated[Kind, typer.Argument(metavar="architecture|task")],
    name: Annotated[str, typer.Argument(metavar="NAME", help="In small letters: the file's name is its name.")],
    output: Annotated[Path, typer.Option(metavar="DIR", help="Where to put the file.")] = Path("."),
) -> None:
    """Write a working starter file, NAME.py, that is yours to change."""
    _check_name(name, kind)
    path = output / f"{name}.py"
    text = (TEMPLATES / f"{kind}.py").read_text().replace(STARTER, _class_name(name))
    output.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("x") as file:
            file.write(text)
    except FileExistsError:
        raise UserError(f"{path} exists already; choose another name or --output") from None
    print(f"{path} is a working {kind}: read it, change it, and then\n")
    print(f"  lengthwise check {path}\n  {NEXT[kind].format(path=path, name=name)}")


def check(
    target: Annotated[str, typer.Argument(metavar="NAME|FILE.py", help="A name of the catalog, or a file of yours.")],
    plugin: given.Plugins = None,
) -> None:
    """Run the contract's checks and say in plain words what fails."""
    from harness.check import run_checks
    from harness.cli.console import console
    from harness.registry.options import Spec

    out, failed = console(), 0
    catalog, entries = _targets(target, plugin or [])
    for entry in entries:
        out.print(f"{entry.kind} {entry.name} ({entry.origin}, {entry.path or entry.module})\n", soft_wrap=True)
        for result in run_checks(Spec(entry.kind, entry.name, catalog=catalog)):
            out.print(_line(result))
            failed += not result.ok
    out.print(f"\n{failed} failed." if failed else "\nAll checks passed.")
    raise typer.Exit(1 if failed else 0)


def _targets(target: str, plugins: list[Path]) -> tuple[Catalog, list[Entry]]:
    if target.endswith(".py"):
        catalog = Catalog((*plugins, Path(target)))
        return catalog, [catalog.of_plugin(Path(target))]
    from harness.cli.show import named

    file, name = program_of(target)
    catalog = Catalog((*plugins, *([file] if file else [])))
    return catalog, named(name, catalog)


def _line(result: "Result") -> "Table":
    from rich.table import Table

    from harness.cli.console import MARKS
    from harness.cli.docstrings import plain

    mark = "trouble" if not result.ok else "missing" if result.skipped else "well"
    line = Table.grid(padding=(0, 1))
    line.add_row("", MARKS[mark], plain(result.sentence) + (f" ({result.skipped})" if result.skipped else ""))
    if not result.ok:
        line.add_row("", "", result.problem.strip())
    return line


def _check_name(name: str, kind: Kind) -> None:
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise UserError(f"name {name!r}: small letters, digits and underscores, beginning with a letter")
    if name in Catalog().entries[kind]:
        raise UserError(f"name {name!r}: there is such a {kind} already; choose another")


def _class_name(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
