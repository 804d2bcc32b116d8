"""Arguments and options that several commands share, as annotated types: their names, values and help texts."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from harness.cli import completion
from harness.report.figure_format import WIDTHS
from harness.track import TRACKERS

SUBJECTS, TRAINING, EXECUTION = "Architectures and tasks", "Training and evaluation", "Execution and output"
"""Headings of the help page under which the options are grouped."""


def _option(heading: str, metavar: str | None, text: str, *names: str, **limits: Any) -> Any:
    return typer.Option(*names, metavar=metavar, help=text, rich_help_panel=heading, **limits)


SuiteName = Annotated[
    str | None,
    typer.Argument(
        metavar="SUITE",
        help="Name of a shipped suite, or a TOML file (default: quick).",
        autocompletion=completion.suites,
    ),
]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Output folder of lengthwise run.")]
Folders = Annotated[list[Path], typer.Argument(metavar="DIR...", help="Output folders of lengthwise run.")]

SPEC = "as NAME or NAME:KEY=VALUE,KEY=VALUE; repeatable."
Architectures = Annotated[
    list[str] | None,
    _option(
        SUBJECTS,
        "SPEC",
        f"An architecture, {SPEC} FILE.py can take the place of NAME.",
        "-a",
        "--architecture",
        autocompletion=completion.architectures,
    ),
]
Tasks = Annotated[
    list[str] | None,
    _option(
        SUBJECTS,
        "SPEC",
        f"A task, {SPEC} FILE.py can take the place of NAME.",
        "-t",
        "--task",
        autocompletion=completion.tasks,
    ),
]
ARCHITECTURE_FILTER = "Only architectures that match, for example 'rwkv*'; repeatable."
ArchitectureFilter = Annotated[
    list[str] | None, _option(SUBJECTS, "PATTERN", ARCHITECTURE_FILTER, "-a", "--architecture")
]
TaskFilter = Annotated[
    list[str] | None,
    _option(SUBJECTS, "PATTERN", "Only tasks that match, for example 'parity*'; repeatable.", "-t", "--task"),
]
Seeds = Annotated[int | None, _option(SUBJECTS, "N", "Number of reported seeds.", min=1)]
FirstSeed = Annotated[int | None, _option(SUBJECTS, "N", "The first seed (default: 0).", min=0)]
Rates = Annotated[
    list[float] | None,
    _option(
        SUBJECTS,
        "X",
        "A learning rate; repeatable. Of several, validation chooses one for each pair.",
        "--learning-rate",
    ),
]
TuningSeeds = Annotated[
    int | None, _option(SUBJECTS, "N", "Seeds that try each of several learning rates and are not reported.", min=1)
]
Plugins = Annotated[
    list[Path] | None,
    _option(SUBJECTS, "FILE.py", "A Python file that defines an architecture or a task; repeatable.", "--plugin"),
]
Variant = Annotated[
    str,
    _option(
        SUBJECTS,
        "SPEC",
        "Variant of the cells' task, with the same alphabet (default: the task itself).",
        "-t",
        "--task",
    ),
]
VariantName = Annotated[
    str, _option(SUBJECTS, "NAME", "Name of the variant in tables (default: its SPEC).", "--variant")
]

Steps = Annotated[int | None, _option(TRAINING, "N", "Optimizer steps of each training.", min=1)]
TrainLengths = Annotated[str | None, _option(TRAINING, "LOW:HIGH", "Training lengths, for example 1:40.")]
Pipelines = Annotated[
    str | None,
    _option(
        TRAINING,
        "NAME",
        "How the models learn, stage by stage: self_improve, dpo, grpo, ... Several are compared: dpo,grpo.",
        "--recipe",
    ),
]
LENGTHS = "Test lengths: 41:200 (twelve evenly spaced lengths), 41:200:1 (every length) or 50,100,200."
TestLengths = Annotated[str | None, _option(TRAINING, "LENGTHS", LENGTHS)]
MoreLengths = Annotated[str, _option(TRAINING, "LENGTHS", LENGTHS, "--test-lengths")]
Carried = Annotated[
    str,
    _option(
        TRAINING,
        "TOKENS",
        "Read so many tokens of other questions before each question, and keep the state: 64 or 16,64,256.",
    ),
]
Samples = Annotated[int | None, _option(TRAINING, "N", "Sequences in the test set of each length.", min=1)]
Settings = Annotated[
    list[str] | None,
    _option(
        TRAINING,
        "KEY=VALUE",
        "A key of the recipe, or an option of architectures or tasks. Several values are compared: width=32,64.",
        "--set",
    ),
]

Device = Annotated[
    Literal["auto", "cpu", "cuda"], _option(EXECUTION, None, "Device of the models. auto uses a GPU if there is one.")
]
Workers = Annotated[
    int | None,
    _option(EXECUTION, "N", "Worker processes with one thread each (default: one per core, or two on a GPU).", min=1),
]
Precision = Annotated[
    Literal["float32", "bfloat16"],
    _option(
        EXECUTION,
        None,
        "Number format. bfloat16 applies only to matrix products. Existing results keep their format.",
    ),
]
Deterministic = Annotated[
    bool,
    _option(
        EXECUTION,
        None,
        "Use only deterministic GPU operations; a cell that needs another one fails. Changes nothing on a CPU.",
        "--deterministic",
    ),
]
Capture = Annotated[
    bool,
    _option(
        EXECUTION,
        None,
        "On a GPU, replay training steps as CUDA graphs, or launch each kernel separately.",
        "--capture/--no-capture",
    ),
]
Output = Annotated[
    Path | None,
    _option(
        EXECUTION,
        "DIR",
        "Folder for records and report (default: the suite's name below results/ or $LENGTHWISE_RESULTS).",
    ),
]
ReportOutput = Annotated[
    Path | None,
    _option(
        EXECUTION,
        "DIR",
        "Folder for the report (default: DIR; with filters, DIR/selection; for several, a folder next to the first).",
        "--output",
    ),
]
StaleCells = Annotated[
    Literal["keep", "rerun", "fail"] | None,
    _option(
        EXECUTION,
        None,
        "What to do with cells whose code has changed since training (default: rerun cells of plug-ins, keep others).",
    ),
]
TRACKER = " | ".join(TRACKERS)
Track = Annotated[
    list[str] | None,
    _option(EXECUTION, TRACKER, "Also write finished cells to an experiment tracker; repeatable.", "--track"),
]
TrackTo = Annotated[list[str], _option(EXECUTION, TRACKER, "The tracker; repeatable.", "--to")]
Quiet = Annotated[bool, _option(EXECUTION, None, "Print no progress and no messages.", "-q", "--quiet")]
FIGURES = "Figures"
Figures = Annotated[
    bool, _option(FIGURES, None, "Also draw every plot, as SVG, PDF and PNG with its caption in plots/.", "--figures")
]
FigureStyle = Annotated[
    str | None,
    _option(FIGURES, "paper | slides", "Size of letters and lines (default: paper). Includes --figures.", "--style"),
]
FigureWidth = Annotated[
    str | None,
    _option(
        FIGURES,
        "WIDTH",
        f"Inches, or a venue: {', '.join(WIDTHS)} (default: neurips, of slides 12 inches). Includes --figures.",
        "--width",
    ),
]
Parquet = Annotated[
    bool, typer.Option("--parquet", help="Also write all scores, curves and models as one table, tables/all.parquet.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of tables.")]
ShardOption = Annotated[
    str | None,
    _option(
        EXECUTION,
        "I/N",
        "Train only part I of N, into a folder of its own; lengthwise merge joins the parts.",
        "--shard",
    ),
]
Shards = Annotated[
    int | None,
    _option(
        EXECUTION, "N", "With --dry-run: print the time of each of N shards, and a Slurm command.", "--shards", min=1
    ),
]
RetryFailed = Annotated[bool, _option(EXECUTION, None, "Train failed cells again.", "--retry-failed")]
Timeout = Annotated[
    str | None,
    _option(
        EXECUTION,
        "TIME",
        "End a worker that reports nothing for this long, as 30m or 2h, and fail its cells. A training reports about "
        "50 times; distillation reports nothing while its teacher trains.",
        "--timeout",
    ),
]
Budget = Annotated[
    str | None,
    _option(
        EXECUTION,
        "TIME",
        "Stop after this long, as 90m or 2h, with snapshots of trainings in progress. One seed of each pair, at the "
        "middle learning rate, is trained first. The same command goes on.",
        "--budget",
    ),
]
Launcher = Annotated[
    Literal["local", "ray"],
    _option(EXECUTION, None, "Where models are trained: processes of this machine, or the nodes of a Ray cluster."),
]
Address = Annotated[
    str | None,
    _option(
        EXECUTION,
        "ADDR",
        "With --launcher ray: the cluster, as HOST:PORT or auto (default: a Ray of its own on this machine).",
    ),
]
DryRun = Annotated[
    bool,
    _option(EXECUTION, None, "Print the plan and an estimate of the training time; train nothing.", "--dry-run"),
]
