"""``lengthwise run`` and ``lengthwise evaluate``: train what is missing, evaluate it, report."""

from pathlib import Path

import typer

from harness.cli import arguments as given
from harness.cli.error_handling import INTERRUPTED, say
from harness.errors import UserError

RESULTS = Path("results")
KEPT = "interrupted; finished cells are kept, and the same command goes on from there"


def run(
    suite: given.SuiteName = None,
    architecture: given.Architectures = None,
    task: given.Tasks = None,
    seeds: given.Seeds = None,
    learning_rate: given.Rates = None,
    plugin: given.Plugins = None,
    steps: given.Steps = None,
    train_lengths: given.TrainLengths = None,
    test_lengths: given.TestLengths = None,
    samples: given.Samples = None,
    set_: given.Settings = None,
    device: given.Device = "auto",
    workers: given.Workers = None,
    precision: given.Number = "float32",
    deterministic: given.Deterministic = False,
    capture: given.Capture = True,
    output: given.Output = None,
    stale: given.StaleCells = None,
    retry_failed: given.RetryFailed = False,
    dry_run: given.DryRun = False,
) -> None:
    """Train and evaluate what is missing of a suite, then report.

    Options replace what the suite says; -a and -t without SUITE make one of their own, custom.
    Finished cells are kept whatever happens: give the same command again and it goes on.
    """
    from harness.cli.console import console
    from harness.cli.dry_run import preview
    from harness.cli.report import publish
    from harness.cli.suite_options import Overrides, settings, suite_of
    from harness.execution.plan import make_plan
    from harness.execution.run import execute
    from harness.execution.run_options import RunOptions
    from harness.models.precision import Numerics
    from harness.registry.catalog import Catalog

    replaced = {"seeds": seeds, "learning_rates": learning_rate, "samples": samples, "test_lengths": test_lengths}
    recipe = settings(set_ or [], steps=steps, train_lengths=train_lengths)
    chosen = suite_of(suite, Overrides(architecture or [], task or [], replaced, recipe, plugin or []))
    catalog, out = Catalog(tuple(Path(each) for each in chosen.plugins)), console()
    plan, folder = make_plan(chosen, catalog), output or RESULTS / chosen.name
    options = RunOptions(device, workers, Numerics(precision, deterministic, capture), stale, retry_failed)
    if dry_run:
        preview(plan, folder, options, out)
        return
    try:
        outcome = execute(plan, folder, options, out)
        publish([folder], folder, catalog, out)
    except KeyboardInterrupt:
        raise typer.Exit(say(KEPT, INTERRUPTED)) from None
    raise typer.Exit(1 if outcome.failed else 0)


def evaluate(
    folder: given.Folder,
    test_lengths: given.MoreLengths,
    task: given.Variant = "",
    variant: given.VariantName = "",
    samples: given.Samples = None,
    plugin: given.Plugins = None,
    device: given.Device = "auto",
    workers: given.Workers = None,
    precision: given.Number = "float32",
    deterministic: given.Deterministic = False,
) -> None:
    """Evaluate trained cells at more lengths or on a variant, without training; then report."""
    from harness.cli.console import console
    from harness.cli.report import catalog_for, publish
    from harness.config.lengths import parse_grid
    from harness.execution.run import EvaluationRequest
    from harness.execution.run import evaluate as evaluate_folder
    from harness.execution.run_options import RunOptions
    from harness.models.precision import Numerics

    if variant and not task:
        raise UserError(f"--variant {variant!r}: name the task it stands for with --task SPEC")
    request = EvaluationRequest(variant or task, task, tuple(parse_grid(test_lengths, "test lengths")))
    catalog, out = catalog_for([folder], plugin or []), console()
    try:
        options = RunOptions(device, workers, Numerics(precision, deterministic))
        failed = evaluate_folder(folder, [request], options, catalog, samples, out)
        publish([folder], folder, catalog, out)
    except KeyboardInterrupt:
        raise typer.Exit(say(KEPT, INTERRUPTED)) from None
    raise typer.Exit(1 if failed else 0)
