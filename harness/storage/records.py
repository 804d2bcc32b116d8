"""Records: the results of trainings and evaluations with everything needed to check them, as JSON."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

Cause = Literal["model", "machine"]
Share = Annotated[float, Field(ge=0, le=1)]
OK, NOT_FINITE = "ok", "not finite"
SCORED = (OK, NOT_FINITE)
"""The statuses of an evaluation that has scores."""


def is_raised(status: str) -> bool:
    """Whether the status of an evaluation says that the model raised an error."""
    return status.startswith("raised")


def _has_step_and_loss(point: dict[str, float | None]) -> dict[str, float | None]:
    if point.get("step") is None or "loss" not in point:
        raise ValueError("a point of a training curve has no step or no loss")
    return point


CurvePoint = Annotated[dict[str, float | None], AfterValidator(_has_step_and_loss)]
"""Step and loss, and after a validation its results, of one log point. A loss that is not finite is ``None``."""


class Record(BaseModel):
    """Base class of all records. Unknown keys are an error, so a damaged or foreign file is noticed."""

    model_config = ConfigDict(extra="forbid")


class Provenance(Record):
    """The software, device, settings, time and machine of a result. Older records have no ``host``."""

    created: str
    versions: dict[str, str]
    git: str
    device: str
    precision: str = "float32"
    tf32: bool = False
    deterministic: bool = False
    threads: int = 1
    host: str = ""


class TrainingRecord(Record):
    """The training of one cell.

    ``fitted_at`` is the step after which validation was first solved at every training length, ``None`` if it never
    was or if the record is older. ``seconds`` by phase are those of the whole population divided by its size.
    ``tokens_per_second`` counts the tokens of all models of the population per second of its training. ``distinct`` is
    the share of distinct questions among those drawn in training. ``seen`` is the share of the test questions that
    training has drawn, by training length; older records have none. ``checkpoints`` lists the steps whose weights are
    stored; reports show the last one.
    """

    cell: dict[str, Any]
    fingerprints: dict[str, str]
    symbols: list[str]
    steps_used: int
    fitted_at: int | None = None
    checkpoints: list[int]
    curve: list[CurvePoint]
    validation_exact: float
    validation_loss: float | None
    distinct: float
    seen: dict[str, float] = Field(default_factory=dict)
    parameters: int
    state_bytes: dict[str, int]
    kernels: dict[str, str]
    population: int
    seconds: dict[str, float]
    tokens_per_second: float
    provenance: Provenance


class ErrorCounts(Record):
    """Counts by bin; bin i holds the places from ``starts[i]`` up to the start of the next.

    ``n`` graded tokens, of which ``right`` are right, their mean ``loss``, and the rows whose ``first`` error is there
    (:class:`harness.evaluation.error_places.Bins`).
    """

    starts: list[int]
    n: list[int]
    right: list[int]
    loss: list[float]
    first: list[int] = Field(default_factory=list)


class EvaluationRecord(Record):
    """The scores of one cell on one test set, as counts, so that they can be pooled.

    ``rows`` is the number of questions that were asked for; it is part of the key. ``distinct`` is the number of those
    in the test set, which has no question twice. Older records have no ``distinct``; they count all rows.

    ``shortcut`` is the simple reader with the best exact match at this length that is not the task's algorithm, next
    to its scores. Older records have none.

    ``carried`` is the number of tokens of other questions that were read before each question.

    ``by_position`` counts errors by position in the answer, where it has several, and ``by_events`` by the events since
    the one that is asked for, where the task defines them. Older records have none.

    ``status`` is ``ok``, ``not finite`` (some logits were NaN or infinite; their rows and tokens count as wrong),
    ``beyond reach`` (the length exceeds the maximum length of the model), ``out of memory``, or ``raised`` with the
    error. The next run repeats an evaluation that raised an error.
    """

    variant: str
    task: str
    length: int
    step: int
    status: str = OK
    set_hash: str = ""
    rows: int = 0
    distinct: int | None = None
    exact: int = 0
    tokens: int = 0
    right: int = 0
    loss: float | None = None
    seconds: float = 0.0
    chance_exact: float = 0.0
    chance_token: float = 0.0
    shortcut: str = ""
    shortcut_exact: float | None = None
    shortcut_token: float | None = None
    decoded: bool = False
    carried: int = 0
    by_position: ErrorCounts | None = None
    by_events: ErrorCounts | None = None
    device: str = "cpu"
    precision: str = "float32"

    @property
    def key(self) -> tuple[str, str, int, int, int]:
        """The identity of an evaluation within its cell: (variant, task, length, step, requested rows)."""
        return self.variant, self.task, self.length, self.step, self.rows

    @property
    def scored(self) -> bool:
        """Whether there are scores."""
        return self.status in SCORED

    @property
    def n(self) -> int:
        """The number of questions that were scored."""
        return self.rows if self.distinct is None else self.distinct

    @property
    def raised(self) -> bool:
        """Whether the model raised an error."""
        return is_raised(self.status)


class Evaluations(Record):
    """All evaluations of one cell, as older folders have them in one file."""

    records: list[EvaluationRecord] = Field(default_factory=list)


class Failure(Record):
    """The reason why a cell has no training record.

    ``cause`` is ``model``, or ``machine`` if the machine ended its worker processes. The next run trains the latter
    again, and reports count it as missing; older records have no cause.
    """

    cell: dict[str, Any]
    reason: str
    cause: Cause = "model"
    details: str = ""
    steps_used: int = 0
    curve: list[CurvePoint] = Field(default_factory=list)
    fingerprints: dict[str, str] = Field(default_factory=dict)
    provenance: Provenance


class PlannedCells(Record):
    """The planned cells of one architecture, task and recipe: learning rate and seed by cell id."""

    architecture: dict[str, Any]
    task: dict[str, Any]
    recipe: dict[str, Any]
    cells: dict[str, tuple[float, int]]


class SuiteRecord(Record):
    """The suite of a run as its file gave it. A report reads the keys that are named here; all others are kept."""

    model_config = ConfigDict(extra="allow")

    name: str
    title: str = ""
    description: str = ""
    samples: Annotated[int, Field(ge=1)] = 256
    model: dict[str, Any] = Field(default_factory=dict)
    known: list[dict[str, Any]] = Field(default_factory=list)
    plugins: list[str] = Field(default_factory=list)


class RunRecord(Record):
    """The description of a run: its suite, the cells of its plan, and the pairs that are not applicable.

    ``planned`` says what the ``cells`` are, so that a report can name those that are not trained yet; older records
    have only their ids.
    ``plugin_defaults`` are the defaults of the options of each plug-in, by kind and name. A report needs them for
    labels, and does not run plug-ins. Older records have none.
    """

    schema_version: int
    suite: SuiteRecord
    cells: list[str]
    planned: list[PlannedCells] = Field(default_factory=list)
    not_applicable: list[tuple[str, str, str]] = Field(default_factory=list)
    notes: list[str] = Field(default_factory=list)
    plugin_defaults: dict[str, dict[str, dict[str, Any]]] = Field(default_factory=dict)
    command: str = ""
    provenance: Provenance
