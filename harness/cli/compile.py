"""``lengthwise compile`` writes RASP-L programs into the weights of transformers, and evaluates them."""

from typing import Annotated

import typer

from harness.cli import arguments
from harness.cli.error_handling import interruption

TaskArguments = Annotated[
    list[str], typer.Argument(metavar="TASK...", help="Tasks with a RASP-L program; FILE.py:PROGRAM for your own.")
]
Finetune = Annotated[int, typer.Option("--steps", metavar="N", min=0, help="Training steps after the compilation.")]
Rate = Annotated[float, typer.Option("--learning-rate", metavar="X", help="Peak learning rate of these steps.")]


def compile_(
    task: TaskArguments,
    steps: Finetune = 0,
    learning_rate: Rate = 1e-3,
    train_lengths: arguments.TrainLengths = "1:10",
    test_lengths: arguments.TestLengths = None,
    seeds: arguments.Seeds = None,
    samples: arguments.Samples = None,
    device: arguments.Device = "auto",
    workers: arguments.Workers = None,
    output: arguments.Output = None,
    quiet: arguments.Quiet = False,
) -> None:
    """Compile RASP-L programs into the weights of transformers, and evaluate them.

    Records and report are those of a run. With --steps the weights are then trained on right answers at the training
    lengths, and evaluated before and after. By default, test lengths go to ten times the longest training length.
    """
    from pathlib import Path

    from harness.cli.console import console, messages
    from harness.cli.report import publish
    from harness.config.custom import default_output
    from harness.execution.compiled_suite import compiled_suite
    from harness.execution.interruption import INTERRUPTION
    from harness.execution.make_plan import make_plan
    from harness.execution.run import execute
    from harness.execution.run_options import RunOptions
    from harness.registry.catalog import Catalog

    values = {"seeds": seeds, "samples": samples, "test_lengths": test_lengths, "learning_rates": [learning_rate]}
    suite = compiled_suite(task, values, train_lengths or "1:10", steps)
    catalog, folder, log = Catalog(tuple(map(Path, suite.plugins))), output or default_output(suite), messages(quiet)
    try:
        with INTERRUPTION.handled():
            outcome = execute(make_plan(suite, catalog), folder, RunOptions(device, workers), log)
        publish([folder], folder, catalog, console(), log)
    except KeyboardInterrupt as error:
        raise interruption(error) from None
    raise typer.Exit(1 if outcome.failed else 0)
