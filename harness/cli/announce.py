"""What ``lengthwise run`` says before it trains: the plan of a dry run, or what it takes from the default suite."""

import shlex
import sys
from collections import Counter
from dataclasses import replace

from rich.console import Console

from harness.cli.preview import Preview, group_key, time_text
from harness.execution.progress import duration
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


def show_shards(preview: Preview, count: int) -> int:
    """Print the time of each shard and the command of an array job; return the exit code."""
    from harness.cli.console import console, table
    from harness.execution.shards import split

    out, rows = console(), table(f"{count} shards", ">shard", ">pairs", ">models", ">time")
    for index, plan in enumerate(split(preview.plan, count), 1):
        paces = {pair: preview.paces[pair] for pair in plan.pairs if pair in preview.paces}
        missing = Counter({key: preview.missing[key] for key in map(group_key, plan.pairs)})
        share = replace(preview, plan=plan, paces=paces, missing=missing)
        models = share.models
        rows.add_row(f"{index}/{count}", str(len(plan.pairs)), str(models), duration(share.seconds))
    out.print(rows)
    out.print("\nAs measured just now, for one machine like this one per shard. With Slurm:\n")
    out.print(array_command(sys.argv[1:], count), soft_wrap=True)
    return 1 if preview.errors else 0


def array_command(arguments: list[str], count: int) -> str:
    """Return the ``sbatch`` line that runs every shard of a command line, ``run ... --dry-run --shards N``.

    >>> array_command(["run", "quick", "--dry-run", "--shards", "4"], 4)
    "sbatch --array=1-4 --wrap 'lengthwise run quick --shard $SLURM_ARRAY_TASK_ID/4'"
    """
    kept, skip = [], False
    for word in arguments:
        if not skip and word != "--dry-run" and not word.startswith("--shards"):
            kept.append(word)
        skip = word == "--shards"
    command = f"lengthwise {shlex.join(kept)} --shard $SLURM_ARRAY_TASK_ID/{count}"
    return f"sbatch --array=1-{count} --wrap {shlex.quote(command)}"


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
