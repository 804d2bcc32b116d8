"""The plan of a suite: which cells are trained, and at which lengths each of them is evaluated.

A plan holds checked specs, one :class:`PlannedTask` for each task of the suite, the pairs of architecture and task that
can be trained, and the reason for every pair that cannot. ``make_plan.py`` makes it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from harness.config.cell import TUNING_SEED, Cell
from harness.config.recipe import Recipe
from harness.config.suite import Suite
from harness.registry.options import Spec
from harness.storage.summaries import EvaluationKey


@dataclass(frozen=True)
class Variant:
    """One set of tests for the cells of a task: the task itself (``name`` is empty) or a variant of it.

    ``carried`` tokens of other questions are read before each question (``evaluation/carried.py``).
    """

    name: str
    task: Spec
    lengths: tuple[int, ...]
    carried: int = 0

    def key(self, length: int, step: int, samples: int) -> EvaluationKey:
        """Return the ``EvaluationRecord.key`` of the evaluation at a length and checkpoint."""
        return self.name, str(self.task), length, step, samples

    def is_in(self, evaluated: Collection[EvaluationKey], length: int, step: int, samples: int) -> bool:
        """Whether an evaluation is among those of a cell. Older records have the task with all options as written."""
        written = replace(self, task=self.task.as_written())
        return any(variant.key(length, step, samples) in evaluated for variant in (self, written))


@dataclass(frozen=True)
class PlannedTask:
    """A task of the plan with its recipe, the variants its cells are evaluated on, and notes about skipped lengths.

    ``warning`` says that some training batches ask for nothing; it is empty if hardly any does.
    """

    task: Spec
    recipe: Recipe
    variants: tuple[Variant, ...]
    notes: tuple[str, ...] = ()
    warning: str = ""


@dataclass(frozen=True)
class Pair:
    """One architecture on one task.

    Attributes:
        parameters: of the model; ``None`` where it could not be built.
        obstacle: why the pair cannot be trained; empty where it can.
        note: an error of the model's constructor. Its cells will fail with that reason on record.
    """

    architecture: Spec
    task: PlannedTask
    parameters: int | None = None
    obstacle: str = ""
    note: str = ""


def _cell(pair: Pair, rate: float, seed: int) -> Cell:
    return Cell(pair.architecture, pair.task.task, pair.task.recipe, rate, seed)


@dataclass(frozen=True)
class Plan:
    """Everything that the launcher and the report need to know about a run.

    Attributes:
        architectures: in the order of the tables, with matched widths where the suite asks for them.
        all_pairs: every architecture on every task that is meant for it, including those that cannot be trained.
        matching: one note for each architecture whose width was solved.
        repeated: one note for each architecture or task that the suite names more than once.
        chosen_rates: the learning rates of pairs, where the suite has several and the choice is made.
    """

    suite: Suite
    architectures: tuple[Spec, ...]
    tasks: tuple[PlannedTask, ...]
    all_pairs: tuple[Pair, ...]
    matching: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()
    chosen_rates: Mapping[Pair, float] = field(default_factory=dict)

    @cached_property
    def pairs(self) -> list[Pair]:
        """The pairs that can be trained, once each."""
        return list(dict.fromkeys(pair for pair in self.all_pairs if not pair.obstacle))

    @property
    def not_applicable(self) -> list[Pair]:
        """The pairs that cannot be trained."""
        return [pair for pair in self.all_pairs if pair.obstacle]

    @property
    def notes(self) -> list[str]:
        """What a reader should know: repeated entries, lengths, empty batches, widths, models that cannot be built."""
        of_tasks = [note for task in self.tasks for note in (*task.notes, task.warning) if note]
        of_pairs = [pair.note for pair in self.all_pairs if pair.note]
        return list(dict.fromkeys([*self.repeated, *of_tasks, *self.matching, *of_pairs]))

    @cached_property
    def cells(self) -> list[Cell]:
        """Every cell once, task by task, so that whole comparisons finish early.

        With several learning rates these are the tuning cells, and the reported cells of pairs with a chosen rate.
        """
        cells = (cell for pair in self.pairs for cell in (*self.tuning_cells(pair), *self.reported_cells(pair)))
        return list(dict.fromkeys(cells))

    @property
    def searches(self) -> bool:
        """Whether the suite has several learning rates to choose from."""
        return len(self.suite.learning_rates) > 1

    def tuning_cells(self, pair: Pair) -> list[Cell]:
        """Return the cells that choose the learning rate of a pair; none if there is no choice."""
        first = TUNING_SEED + self.suite.first_seed
        seeds = range(first, first + self.suite.tuning_seeds)
        return [_cell(pair, rate, s) for rate in self.suite.learning_rates for s in seeds] if self.searches else []

    def reported_cells(self, pair: Pair) -> list[Cell]:
        """Return the cells of a pair that are reported; none before its learning rate is chosen."""
        rate = self.chosen_rates.get(pair) if self.searches else self.suite.learning_rates[0]
        first = self.suite.first_seed
        return [] if rate is None else [_cell(pair, rate, first + index) for index in range(self.suite.seeds)]

    @cached_property
    def variants(self) -> dict[tuple[Spec, Recipe], tuple[Variant, ...]]:
        """The variants that the cells of (task, recipe) are evaluated on; older cells have the task as written."""
        return {
            (task, planned.recipe): planned.variants
            for planned in self.tasks
            for task in (planned.task, planned.task.as_written())
        }
