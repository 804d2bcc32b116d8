"""``lengthwise track`` writes the cells of finished runs to an experiment tracker."""

from harness.cli import arguments


def track(folders: arguments.Folders, to: arguments.TrackTo, quiet: arguments.Quiet = False) -> None:
    """Mirror runs to TensorBoard, Weights & Biases or Trackio.

    Each cell becomes one run of the tracker, with the cell's id, so the command can be given again. The records stay
    as they are.
    """
    from harness.cli.console import messages
    from harness.report.number_format import plural
    from harness.track.mirror import mirror

    log = messages(quiet)
    for folder in folders:
        for name in to:
            log.print(f"{folder}: {plural(mirror(folder, name), 'cell')} written to {name}.", soft_wrap=True)
