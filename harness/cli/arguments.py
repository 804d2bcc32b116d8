"""The options of the commands that train and evaluate, as types: what each is called, takes and means."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

WHAT, HOW, WHERE = "What is compared", "How it is trained and tested", "Where it runs"


def _option(panel: str, metavar: str | None, meaning: str, *names: str, **rules: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=meaning, rich_help_panel=panel, **rules)


SPEC = "name or name:key=value,key=value; repeatable."
SuiteName = Annotated[
    str | None, typer.Argument(metavar="SUITE", help="A shipped suite or a TOML file (default: quick).")
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="A folder that lengthwise run has written.")]
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Folders that lengthwise run has written.")]

Architectures = Annotated[list[str] | None, _option(WHAT, "SPEC", SPEC, "-a", "--architecture")]
Tasks = Annotated[list[str] | None, _option(WHAT, "SPEC", SPEC, "-t", "--task")]
Seeds = Annotated[int | None, _option(WHAT, "N", "Seeds 0 to N-1.", min=1)]
Rates = Annotated[list[float] | None, _option(WHAT, "X", "Repeatable; validation chooses.", "--learning-rate")]
Plugins = Annotated[
    list[Path] | None, _option(WHAT, "FILE.py", "A file with an architecture or a task; repeatable.", "--plugin")
]
Variant = Annotated[str, _option(WHAT, "SPEC", "A variant of the cells' task, of the same alphabet.", "-t", "--task")]
VariantName = Annotated[str, _option(WHAT, "NAME", "What tables call it (default: its SPEC).", "--variant")]

Steps = Annotated[int | None, _option(HOW, "N", "Optimizer steps.", min=1)]
TrainLengths = Annotated[str | None, _option(HOW, "LOW:HIGH", "For example 1:40.")]
GRID = "41:200 (twelve of them), 41:200:1 (every one) or 50,100,200."
TestLengths = Annotated[str | None, _option(HOW, "LENGTHS", GRID)]
MoreLengths = Annotated[str, _option(HOW, "LENGTHS", GRID, "--test-lengths")]
Samples = Annotated[int | None, _option(HOW, "N", "Questions at every length.", min=1)]
Settings = Annotated[list[str] | None, _option(HOW, "KEY=VALUE", "Any other recipe key; repeatable.", "--set")]

Device = Annotated[Literal["auto", "cpu", "cuda"], _option(WHERE, None, "auto takes a GPU where there is one.")]
Workers = Annotated[
    int | None, _option(WHERE, "N", "Processes of one thread each (default: one a core, two a GPU).", min=1)
]
Number = Annotated[
    Literal["float32", "bfloat16"],
    _option(WHERE, None, "bfloat16: of matrix products alone; what is trained or evaluated already is kept as it is."),
]
Deterministic = Annotated[
    bool,
    _option(
        WHERE, None, "The same numbers again on a GPU too, or an error; a CPU gives them anyway.", "--deterministic"
    ),
]
Capture = Annotated[
    bool,
    _option(WHERE, None, "Replay steps as CUDA graphs, or launch their kernels one by one.", "--capture/--no-capture"),
]
Output = Annotated[Path | None, _option(WHERE, "DIR", "Where records and report go (default: results/SUITE).")]
ReportOutput = Annotated[
    Path | None, _option(WHERE, "DIR", "Default: the folder; for several, one beside the first.", "--output")
]
StaleCells = Annotated[
    Literal["keep", "rerun", "fail"] | None,
    _option(WHERE, None, "Cells made with other code (default: rerun a plug-in's, keep the rest)."),
]
RetryFailed = Annotated[bool, _option(WHERE, None, "Train failed cells again.", "--retry-failed")]
DryRun = Annotated[bool, _option(WHERE, None, "Print the plan and how long it takes; train nothing.", "--dry-run")]
