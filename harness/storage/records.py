"""The records: everything needed to trust a number, as plain JSON."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    """Common settings: unknown keys are an error, so a damaged or foreign file is noticed."""

    model_config = ConfigDict(extra="forbid")


class Provenance(Record):
    """With what, where and when a record was made."""

    created: str
    versions: dict[str, str]
    git: str
    device: str
    precision: str = "float32"
    tf32: bool = False
    deterministic: bool = False
    threads: int = 1


class TrainingRecord(Record):
    """One trained cell.

    ``seconds`` by phase and ``tokens_per_second`` are of the whole population divided by its size, so that
    ``tokens_per_second`` is what one model costs in its population. ``distinct`` is the share of distinct questions
    among those drawn in training. ``checkpoints`` lists the steps whose weights are kept, the last one reported.
    """

    cell: dict[str, Any]
    fingerprints: dict[str, str]
    symbols: list[str]
    steps_used: int
    checkpoints: list[int]
    curve: list[dict[str, float | None]]
    validation_exact: float
    validation_loss: float | None
    distinct: float
    parameters: int
    state_bytes: dict[str, int]
    kernels: dict[str, str]
    population: int
    seconds: dict[str, float]
    tokens_per_second: float
    provenance: Provenance


class EvaluationRecord(Record):
    """One cell on one evaluation set: counts, not rates, so that they can be pooled.

    ``status`` is ``ok``, ``beyond reach`` (the model has no position for such a length), ``out of memory``, or
    ``raised`` with the error; the next run tries again what raised.
    """

    variant: str
    task: str
    length: int
    step: int
    status: str = "ok"
    set_hash: str = ""
    rows: int = 0
    exact: int = 0
    tokens: int = 0
    right: int = 0
    loss: float | None = None
    seconds: float = 0.0
    chance_exact: float = 0.0
    chance_token: float = 0.0
    decoded: bool = False
    device: str = "cpu"
    precision: str = "float32"

    @property
    def key(self) -> tuple[str, str, int, int, int]:
        """What identifies an evaluation of a cell: (variant, task, length, step, requested rows)."""
        return self.variant, self.task, self.length, self.step, self.rows

    @property
    def raised(self) -> bool:
        """Whether the model raised an error."""
        return self.status.startswith("raised")


class Evaluations(Record):
    """All evaluations of one cell."""

    records: list[EvaluationRecord] = Field(default_factory=list)


class Failure(Record):
    """Why a cell has no training record."""

    cell: dict[str, Any]
    reason: str
    details: str = ""
    steps_used: int = 0
    curve: list[dict[str, float | None]] = Field(default_factory=list)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance


class RunRecord(Record):
    """What a run folder belongs to: the suite, the cells of its plan, and the pairs that were not applicable."""

    schema_version: int
    suite: dict[str, Any]
    cells: list[str]
    not_applicable: list[tuple[str, str, str]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    command: str = ""
    provenance: Provenance
