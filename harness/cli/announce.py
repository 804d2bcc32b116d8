"""What ``lengthwise run`` says before it trains: the plan of a dry run, or what it takes from the default suite."""

from rich.console import Console

from harness.cli.preview import Preview, time_text
from harness.report.number_format import plural


def show_preview(preview: Preview, as_json: bool) -> int:
    """Print a preview and return the exit code: 1 if a model raises an error."""
    from harness.cli.console import console, print_json
    from harness.cli.dry_run import preview_data, preview_tables

    if as_json:
        print_json(preview_data(preview))
    else:
        out = console()
        for part in preview_tables(preview):
            out.print(part, soft_wrap=isinstance(part, str) and part.startswith("Suite"))
    return 1 if preview.errors else 0


def announce(preview: Preview, option: str, log: Console) -> None:
    """Say which part of the default suite a run takes because ``option``, ``-a`` or ``-t``, was not given."""
    plan = preview.plan
    if option == "-a":
        names, noun = [spec.name for spec in plan.architectures], "architecture"
    else:
        names, noun = [str(planned.task) for planned in plan.tasks], "task"
    taken = f"{plural(len(names), noun)} of suite {plan.suite.name}: {', '.join(names)}"
    log.print(f"No {option} is given, so the run takes the {taken}.", soft_wrap=True)
    if preview.models:
        time = time_text(preview.seconds, preview.stops)
        log.print(f"{plural(preview.models, 'model')} to train: {time}. Ctrl-C ends it.", soft_wrap=True)
