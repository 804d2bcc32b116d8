"""What a tracker gets to see of a cell, read from its records: configuration, training curve, scores by length."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from harness.registry.options import text_of
from harness.storage.cell_records import CellRecords
from harness.storage.records import EvaluationRecord, Failure, Provenance, RunRecord, TrainingRecord

Values = Mapping[str, float]
Config = dict[str, str | int | float | bool]


@dataclass(frozen=True)
class TrackedCell:
    """One cell as trackers show it.

    Attributes:
        id: of the cell, the same whenever the cell is written.
        project: name of the suite.
        group: architecture and task.
        name: group, learning rate and seed.
        config: options, recipe and provenance; nested keys have a dot, such as ``recipe.steps``.
        curve: loss and validation by step.
        scores: ``exact``, ``token`` and ``chance`` by variant (empty for the task itself) and length.
        summary: single numbers of the whole training.
    """

    id: str
    project: str
    group: str
    name: str
    config: Config
    curve: Mapping[int, Values] = field(default_factory=dict)
    scores: Mapping[str, Mapping[int, Values]] = field(default_factory=dict)
    summary: Values = field(default_factory=dict)


def tracked_cell(run: RunRecord, cell: str, records: CellRecords) -> TrackedCell | None:
    """Return what trackers show of a cell; ``None`` where it has no record."""
    record = records.training or records.failure
    if record is None:
        return None
    specs = [text_of(spec["name"], spec["options"]) for spec in (record.cell["architecture"], record.cell["task"])]
    group = " / ".join(specs)
    name = f"{group} lr={record.cell['learning_rate']:g} seed={record.cell['seed']}"
    config = _config(specs, record)
    curve = {int(point["step"] or 0): _numbers(point, {"step"}) for point in record.curve}
    if isinstance(record, Failure):
        return TrackedCell(cell, run.suite.name, group, name, config | {"failed": record.reason}, curve)
    scores = _scores(record, records.evaluations)
    return TrackedCell(cell, run.suite.name, group, name, config, curve, scores, _summary(record))


def _config(specs: list[str], record: TrainingRecord | Failure) -> Config:
    """Return what was trained, how and where, as one flat table."""
    values = record.cell
    config: Config = dict(zip(("architecture", "task"), specs, strict=True))
    config |= {key: values[key] for key in ("learning_rate", "seed")}
    config |= _flat("architecture", values["architecture"]["options"]) | _flat("task", values["task"]["options"])
    return (
        config | _flat("recipe", values["recipe"]) | _provenance(record.provenance) | _flat("code", record.fingerprints)
    )


def _provenance(provenance: Provenance) -> Config:
    fields = provenance.model_dump(exclude={"versions"})
    return _flat("run", fields) | _flat("version", provenance.versions)


def _flat(prefix: str, values: Mapping[str, Any]) -> Config:
    simple = (str, int, float, bool)
    return {f"{prefix}.{key}": value if isinstance(value, simple) else str(value) for key, value in values.items()}


def _numbers(values: Mapping[str, float | None], without: set[str]) -> dict[str, float]:
    """Return the values that are there."""
    return {key: float(value) for key, value in values.items() if value is not None and key not in without}


def _summary(record: TrainingRecord) -> dict[str, float]:
    names = ("validation_exact", "validation_loss", "fitted_at", "steps_used", "parameters", "tokens_per_second")
    seconds = {f"seconds.{phase}": value for phase, value in record.seconds.items()}
    return _numbers({name: getattr(record, name) for name in names} | seconds, set())


def _scores(record: TrainingRecord, evaluations: list[EvaluationRecord]) -> dict[str, dict[int, Values]]:
    """Return the scores of the last checkpoint; of several evaluations of a length, the one with the most rows."""
    scores: dict[str, dict[int, Values]] = {}
    final = (e for e in evaluations if e.step == record.checkpoints[-1] and e.scored and e.n)
    for e in sorted(final, key=lambda e: (e.length, e.rows)):
        token = {"token": e.right / e.tokens} if e.tokens else {}
        scores.setdefault(e.variant, {})[e.length] = {"exact": e.exact / e.n, **token, "chance": e.chance_exact}
    return scores
