"""``lengthwise run`` trains and evaluates the cells of a suite that have no results yet, and writes the report."""

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from harness.cli import arguments
from harness.cli.error_handling import interruption
from harness.errors import UserError

if TYPE_CHECKING:
    from rich.console import Console

    from harness.config.suite import Suite
    from harness.execution.plan import Plan
    from harness.execution.run import Outcome
    from harness.execution.run_options import RunOptions
    from harness.registry.catalog import Catalog


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
    recipe: arguments.Pipelines = None,
    test_lengths: arguments.TestLengths = None,
    samples: arguments.Samples = None,
    set_: arguments.Settings = None,
    device: arguments.Device = "auto",
    workers: arguments.Workers = None,
    launcher: arguments.Launcher = "local",
    address: arguments.Address = None,
    precision: arguments.Precision = "float32",
    deterministic: arguments.Deterministic = False,
    capture: arguments.Capture = True,
    output: arguments.Output = None,
    stale: arguments.StaleCells = None,
    retry_failed: arguments.RetryFailed = False,
    timeout: arguments.Timeout = None,
    budget: arguments.Budget = None,
    track: arguments.Track = None,
    shard: arguments.ShardOption = None,
    dry_run: arguments.DryRun = False,
    shards: arguments.Shards = None,
    as_json: arguments.Json = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Train and evaluate the missing cells of a suite, and write the report.

    Options override the suite. Without SUITE, -a and -t together define a suite named custom.
    A cell is one model to train. Finished cells are kept, so the same command resumes an interrupted run.
    -t FILE.py:FUNCTION makes a task from a RASP-L program. --json is for --dry-run.
    """
    from harness.cli.announce import announce, show_preview, show_shards
    from harness.cli.console import messages
    from harness.cli.preview import Preview
    from harness.cli.set_options import settings
    from harness.cli.suite_options import Overrides, suite_of
    from harness.config.durations import seconds_of
    from harness.execution.run import remaining_text
    from harness.execution.run_options import RunOptions
    from harness.models.precision import Numerics
    from harness.registry.catalog import Catalog

    overridden = {
        **{"seeds": seeds, "first_seed": first_seed, "learning_rates": learning_rate, "tuning_seeds": tuning_seeds},
        **{"samples": samples, "test_lengths": test_lengths},
    }
    keys = [*(set_ or []), *([f"stages={recipe}"] if recipe else [])]
    values = settings(keys, steps=steps, train_lengths=train_lengths)
    chosen = suite_of(suite, Overrides(architecture or [], task or [], overridden, values, plugin or []))
    catalog = Catalog(tuple(map(Path, chosen.plugins)))
    plan, folder = _planned(chosen, catalog, output, shard)
    longest = seconds_of(timeout, "--timeout") if timeout else None
    limit = seconds_of(budget, "--budget") if budget else None
    numerics = Numerics(precision, deterministic, capture)
    options = RunOptions(device, workers, numerics, stale, retry_failed, longest, limit, launcher, address)
    _check_companions(dry_run, address if launcher != "ray" else None, shards, as_json)
    log = messages(quiet)
    try:
        if dry_run:
            preview = Preview.of(plan, folder, options, log)
            raise typer.Exit(show_shards(preview, shards) if shards else show_preview(preview, as_json))
        if suite is None and bool(architecture) != bool(task) and not quiet:
            announce(Preview.of(plan, folder, options, log), "-t" if architecture else "-a", log)
        outcome = _train(plan, folder, options, track or [], log)
        _publish_if_changed(folder, catalog, log)
        if outcome is None:
            log.print(f"The budget of {budget} is spent: {remaining_text(plan, folder)}.", soft_wrap=True)
            raise typer.Exit
    except KeyboardInterrupt as error:
        raise interruption(error) from None
    raise typer.Exit(1 if outcome.failed else 0)


def _check_companions(dry_run: bool, address: str | None, shards: int | None, as_json: bool) -> None:
    """Raise :class:`UserError` for an option that means nothing without another one, which is not given."""
    if address:
        raise UserError(f"--address {address} is of --launcher ray; give both")
    if shards and not dry_run:
        raise UserError("--shards prints the plan of --dry-run; give both, or --shard I/N to train one part")
    if as_json and not dry_run:
        raise UserError("--json prints the plan of --dry-run; give both, or lengthwise report DIR --json afterwards")


def _planned(suite: "Suite", catalog: "Catalog", output: Path | None, shard: str | None) -> "tuple[Plan, Path]":
    """Return the plan of a suite, or one part of it, and the folder of its records."""
    from harness.config.custom import default_output
    from harness.execution.make_plan import make_plan
    from harness.execution.shards import Shard, part

    plan, folder = make_plan(suite, catalog), output or default_output(suite)
    if not shard:
        return plan, folder
    one = Shard.parse(shard)
    return part(plan, one), folder.with_name(f"{folder.name}-{one.name}")


def _train(plan: "Plan", folder: Path, options: "RunOptions", trackers: list[str], log: "Console") -> "Outcome | None":
    """Train and evaluate what is missing; return ``None`` if the time budget ended it."""
    from harness.cli.console import messages
    from harness.execution.interruption import INTERRUPTION, time_budget
    from harness.execution.run import execute
    from harness.track.mirror import Mirror

    mirror = Mirror(trackers, folder, (messages() if log.quiet else log).print)
    outcome = None
    with mirror, INTERRUPTION.handled(), time_budget(options.budget):
        outcome = execute(plan, folder, options, log, mirror.show)
    return outcome


def _publish_if_changed(folder: Path, catalog: "Catalog", log: "Console") -> None:
    """Write the report, unless it is newer than all records."""
    from harness.cli.console import console
    from harness.cli.report import publish
    from harness.report import PAGE
    from harness.storage.folder import RunFolder

    if RunFolder(folder).changed_since(folder / PAGE):
        publish([folder], folder, catalog, console(), log)
    else:
        text = f"Nothing is missing. Report: {folder / PAGE}; lengthwise report {folder} writes it again."
        log.print(text, soft_wrap=True)
