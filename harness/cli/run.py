"""``lengthwise run`` trains and evaluates the cells of a suite that have no results yet, and writes the report."""

from pathlib import Path

import typer

from harness.cli import arguments
from harness.cli.error_handling import interruption

RESULTS = Path("results")


def run(
    suite: arguments.SuiteName = None,
    architecture: arguments.Architectures = None,
    task: arguments.Tasks = None,
    seeds: arguments.Seeds = None,
    first_seed: arguments.FirstSeed = None,
    learning_rate: arguments.Rates = None,
    tuning_seeds: arguments.TuningSeeds = None,
    plugin: arguments.Plugins = None,
    steps: arguments.Steps = None,
    train_lengths: arguments.TrainLengths = None,
    test_lengths: arguments.TestLengths = None,
    samples: arguments.Samples = None,
    set_: arguments.Settings = None,
    device: arguments.Device = "auto",
    workers: arguments.Workers = None,
    precision: arguments.Precision = "float32",
    deterministic: arguments.Deterministic = False,
    capture: arguments.Capture = True,
    output: arguments.Output = None,
    stale: arguments.StaleCells = None,
    retry_failed: arguments.RetryFailed = False,
    dry_run: arguments.DryRun = False,
) -> None:
    """Train and evaluate the missing cells of a suite, and write the report.

    Options override the suite. Without SUITE, -a and -t together define a suite named custom.
    A cell is one model to train. Finished cells are kept, so the same command resumes an interrupted run.
    -t FILE.py:FUNCTION makes a task from a RASP-L program.
    """
    from harness.cli.console import console
    from harness.cli.dry_run import preview
    from harness.cli.report import publish
    from harness.cli.suite_options import Overrides, settings, suite_of
    from harness.execution.make_plan import make_plan
    from harness.execution.run import execute
    from harness.execution.run_options import RunOptions
    from harness.models.precision import Numerics
    from harness.registry.catalog import Catalog

    overridden = {
        **{"seeds": seeds, "first_seed": first_seed, "learning_rates": learning_rate, "tuning_seeds": tuning_seeds},
        **{"samples": samples, "test_lengths": test_lengths},
    }
    recipe = settings(set_ or [], steps=steps, train_lengths=train_lengths)
    chosen = suite_of(suite, Overrides(architecture or [], task or [], overridden, recipe, plugin or []))
    catalog, out = Catalog(tuple(map(Path, chosen.plugins))), console()
    plan, folder = make_plan(chosen, catalog), output or RESULTS / chosen.name
    options = RunOptions(device, workers, Numerics(precision, deterministic, capture), stale, retry_failed)
    if dry_run:
        preview(plan, folder, options, out)
        return
    try:
        outcome = execute(plan, folder, options, out)
        publish([folder], folder, catalog, out)
    except KeyboardInterrupt:
        raise interruption() from None
    raise typer.Exit(1 if outcome.failed else 0)
