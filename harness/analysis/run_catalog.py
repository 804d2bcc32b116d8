"""The catalog for reading runs: it has the plug-ins that the runs were made with."""

from collections.abc import Sequence
from pathlib import Path

from harness.registry.catalog import Catalog


def catalog_for(folders: Sequence[Path], plugins: Sequence[Path]) -> Catalog:
    """Return the catalog with ``plugins`` and with those plug-ins of the runs whose files still exist.

    A plug-in of a run is replaced by one in ``plugins`` with the same file name. Of several recorded plug-ins of one
    name the first counts.
    """
    from harness.storage.folder import RunFolder  # imports torch, which help pages and lists do without

    runs = [run for run in (RunFolder(folder).run() for folder in folders) if run]
    recorded = [Path(plugin) for run in runs for plugin in run.suite.get("plugins", [])]
    paths = [path.resolve() for path in plugins]
    for path in recorded:
        if path.is_file() and path.stem not in {other.stem for other in paths}:
            paths.append(path)
    return Catalog(tuple(dict.fromkeys(paths)))
