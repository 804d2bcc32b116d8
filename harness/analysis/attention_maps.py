"""Attention and alignment maps of trained models, for the report.

One model represents each architecture and task: the lowest seed at the learning rate that validation chose. The rule is
fixed, so no map is picked by its appearance. Of several heads the sharpest (least mean entropy) is shown and labelled.
"""

from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor

from architectures.base import Mixer, SequenceModel
from harness.analysis.statistics import choose_learning_rate
from harness.analysis.versions import code_version
from harness.config.cell import cell_of
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose
from harness.evaluation.scoring import fixed_set
from harness.models.population import build_seeded, load
from harness.registry.catalog import Catalog
from harness.storage.folder import RunFolder
from tasks.base import decode

LONGEST = 24
"""Largest input length that is inspected; maps of longer inputs are not legible."""


def attention_maps(folders: list[Path], cells: pd.DataFrame, catalog: Catalog) -> list[dict[str, Any]]:
    """Return the maps of all models that can be inspected: architecture, task, name, weights, rows, columns."""
    maps, stored = [], [RunFolder(folder) for folder in folders]
    for _, row in representatives(cells).iterrows():
        cell_id, _, version = str(row["cell"]).partition("@")
        if version and row["stale"]:
            continue  # the weights of one version do not belong to the code of another
        folder = next((folder for folder in stored if _is_in(folder, cell_id, version)), None)
        try:
            inspected = _inspect(folder, cell_id, catalog) if folder else []
            of_model = [(name, _map(weights, batch, symbols)) for name, weights, batch, symbols in inspected]
        except Exception:  # the model's code has changed or is gone; its recorded scores are still reported
            continue
        identity = {"architecture": row["architecture"], "task": row["task"]}
        maps += [identity | {"name": name} | content for name, content in of_model]
    return maps


def _is_in(folder: RunFolder, cell_id: str, version: str) -> bool:
    """Whether a folder has weights of a cell, with this version of the code if there are several."""
    if not (folder.cells / cell_id).is_dir():  # a packed run without weights, whose records need not be read again
        return False
    record = folder.cell(cell_id).training
    return record is not None and (not version or code_version(record) == version)


def representatives(cells: pd.DataFrame) -> pd.DataFrame:
    """Return one finished cell for each architecture and task: the lowest seed at the chosen learning rate."""
    done = cells[cells["status"] == "done"]
    if done.empty:
        return done
    chosen = choose_learning_rate(cells)[["architecture", "task", "learning_rate"]]
    return (
        done.merge(chosen, on=["architecture", "task", "learning_rate"])
        .sort_values("seed")
        .groupby(["architecture", "task"])
        .head(1)
    )


def _inspect(folder: RunFolder, cell_id: str, catalog: Catalog) -> list[tuple[str, Tensor, Batch, tuple[str, ...]]]:
    """Run one cell's last checkpoint on one test input; return (name, weights, batch, symbols) of each map."""
    record = folder.cell(cell_id).training
    assert record is not None
    cell = cell_of(record.cell, catalog)
    if not _has_weights_to_show(cell.architecture.entry.cls):
        return []
    checkpoint = folder.weights(cell_id, record.checkpoints[-1])
    presentation = Presentation.of(cell.task, cell.recipe)
    model = build_seeded(cell.architecture, presentation.symbols, cell.seed)
    model = load([model], [checkpoint], "cpu").model.eval()
    length = min(cell.recipe.train_lengths.high, LONGEST)
    batch = presentation(fixed_set(presentation, str(cell.task), Purpose.INSPECT, length, 1, torch.device("cpu")))
    with torch.no_grad():
        weights_by_name = model.inspect(batch.source, batch.prefix)
    return [(*_sharpest(name, weights[0]), batch, presentation.symbols) for name, weights in weights_by_name.items()]


def _has_weights_to_show(cls: type) -> bool:
    """Whether an architecture defines attention or alignment weights; a model without them need not be built."""
    if issubclass(cls, Mixer):
        return cls.weights is not Mixer.weights
    return issubclass(cls, SequenceModel) and cls.inspect is not SequenceModel.inspect


def _sharpest(name: str, weights: Tensor) -> tuple[str, Tensor]:
    """Return the name and one map ``[T, S]`` from ``[T, S]`` or from the heads ``[H, T, S]``."""
    if weights.dim() == 2 or len(weights) == 1:
        return name, weights.reshape(weights.shape[-2:])
    entropy = -(weights * weights.clamp(min=1e-12).log()).sum(-1).mean(-1)
    head = int(entropy.argmin())
    return f"{name}, sharpest head ({head + 1} of {len(weights)})", weights[head]


def _map(weights: Tensor, batch: Batch, symbols: tuple[str, ...]) -> dict[str, Any]:
    """Return a map with the tokens of its rows and columns; its shape tells whether they are source, prefix or both."""
    source = list(decode(symbols, batch.source[0]))
    prefix = [] if batch.prefix is None else list(decode(symbols, batch.prefix[0]))
    stream = source + prefix
    tokens_by_length = {len(source): source, len(prefix): prefix, len(stream): stream}
    rows, columns = weights.shape
    return {"weights": weights.tolist(), "rows": tokens_by_length[rows], "columns": tokens_by_length[columns]}
