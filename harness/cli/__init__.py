"""The ``lengthwise`` command. Commands import heavy packages inside their functions, so help and lists stay fast."""

from collections.abc import Callable
from typing import Annotated

import typer

from harness.cli.audit import audit
from harness.cli.bench import bench
from harness.cli.check import check
from harness.cli.compare import compare
from harness.cli.compile import compile_
from harness.cli.doctor import doctor
from harness.cli.error_handling import OneLineErrors
from harness.cli.evaluate import evaluate
from harness.cli.list import list_
from harness.cli.merge import merge
from harness.cli.new import new
from harness.cli.pack import pack
from harness.cli.report import report
from harness.cli.run import run
from harness.cli.show import show
from harness.cli.track import track
from harness.cli.verify import verify

app = typer.Typer(
    name="lengthwise",
    cls=OneLineErrors,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_requested: bool) -> None:
    if is_requested:
        from importlib.metadata import version

        print(f"lengthwise {version('lengthwise')}")
        raise typer.Exit


@app.callback()
def lengthwise(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Compare sequence architectures on synthetic tasks.

    Train them on short inputs, test them on longer ones, and measure the cost.
    """


COMMANDS: dict[str, dict[str, Callable[..., None]]] = {
    "Train and compare": {
        **{"run": run, "evaluate": evaluate, "report": report, "compare": compare, "merge": merge, "pack": pack},
        **{"track": track, "verify": verify, "compile": compile_},
    },
    "Look up": {"list": list_, "show": show, "audit": audit},
    "Add an architecture or a task": {"new": new, "check": check},
    "Test this machine": {"doctor": doctor, "bench": bench},
}
"""The commands by the heading under which the help page lists them."""

for heading, commands in COMMANDS.items():
    for name, command in commands.items():
        app.command(name, rich_help_panel=heading)(command)


def main() -> None:
    """Run the command line and exit with its exit code."""
    app(prog_name="lengthwise")
