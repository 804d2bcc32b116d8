"""The ``lengthwise`` command. Heavy imports live inside the commands, so that help and lists come at once."""

from collections.abc import Callable
from typing import Annotated

import typer

from harness.cli.bench import bench
from harness.cli.doctor import doctor
from harness.cli.error_handling import OneLine
from harness.cli.list import list_
from harness.cli.new import check, new
from harness.cli.pack import pack
from harness.cli.report import report
from harness.cli.run import evaluate, run
from harness.cli.show import show

app = typer.Typer(
    name="lengthwise",
    cls=OneLine,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        print(f"lengthwise {version('lengthwise')}")
        raise typer.Exit


@app.callback()
def lengthwise(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """What can a sequence architecture learn, how far beyond its training lengths does it work, and at what cost?"""


COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train and compare": {"run": run, "evaluate": evaluate, "report": report, "pack": pack},
    "Look around": {"list": list_, "show": show},
    "Add your own": {"new": new, "check": check},
    "This machine": {"doctor": doctor, "bench": bench},
}
for panel, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=panel)(command)


def main() -> None:
    """Run the command line and leave with its exit code."""
    app(prog_name="lengthwise")
