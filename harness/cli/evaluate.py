"""``lengthwise evaluate`` evaluates trained cells at more lengths or on a variant of their task."""

import typer

from harness.cli import arguments
from harness.cli.error_handling import interruption
from harness.errors import UserError


def evaluate(
    folder: arguments.Folder,
    test_lengths: arguments.MoreLengths,
    task: arguments.Variant = "",
    variant: arguments.VariantName = "",
    carried: arguments.Carried = "",
    samples: arguments.Samples = None,
    plugin: arguments.Plugins = None,
    device: arguments.Device = "auto",
    workers: arguments.Workers = None,
    precision: arguments.Precision = "float32",
    deterministic: arguments.Deterministic = False,
    quiet: arguments.Quiet = False,
) -> None:
    """Evaluate trained cells at more lengths, on a variant of their task or from a carried state; update the report.

    Cells of a plug-in need its file (--plugin), with the code that trained them.
    """
    from harness.cli.console import console, messages
    from harness.cli.report import publish
    from harness.config.lengths import parse_grid
    from harness.config.suite import PLAIN
    from harness.execution.interruption import INTERRUPTION
    from harness.execution.run import EvaluationRequest
    from harness.execution.run import evaluate as evaluate_folder
    from harness.execution.run_options import RunOptions
    from harness.models.precision import Numerics
    from harness.registry.catalog import Catalog
    from harness.registry.limits import MOST_SAMPLES

    if variant and not task:
        raise UserError(f"--variant {variant!r} needs a task; give the variant's spec with --task SPEC")
    if variant == PLAIN:
        raise UserError(f"--variant {PLAIN}: it is the name of the task itself in tables; choose another name")
    if samples and samples > MOST_SAMPLES:
        raise UserError(f"--samples {samples}: must be at most {MOST_SAMPLES}")
    name, lengths = variant or task, tuple(parse_grid(test_lengths, "test lengths"))
    texts = parse_grid(carried, "carried tokens") if carried else []
    requests = [EvaluationRequest(name, task, lengths)]
    requests += [EvaluationRequest(f"{name} carried {size}".strip(), task, lengths, size) for size in texts]
    catalog, log = Catalog(tuple(plugin or ())), messages(quiet)
    try:
        options = RunOptions(device, workers, Numerics(precision, deterministic))
        with INTERRUPTION.handled():
            failures = evaluate_folder(folder, requests, options, catalog, samples, log)
        publish([folder], folder, catalog, console(), log)
    except KeyboardInterrupt as error:
        raise interruption(error) from None
    raise typer.Exit(1 if failures else 0)
