"""Known results: what others found, written down as predicates before a run, and looked up in its scores after.

A suite that has any says so in ``[[known]]`` tables. What does not appear is reported as such::

    [[known]]
    claim = "An LSTM carries parity far beyond training"
    source = "Deletang et al. 2023, table 2"
    task = "parity"
    expect = [{ architecture = "lstm", at = 80, least = 0.99, seeds = 4 }]

``least`` and ``most`` bound the score at one length in at least ``seeds`` of the seeds (all of them if not said);
``above`` asks for a higher median over seeds than that of another architecture at the same length. An expectation is
about the claim's task, or about one that it names.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, ConfigDict, model_validator

from harness.registry.catalog import Catalog
from harness.registry.options import Spec

Share = Annotated[float, Ge(0), Le(1)]
BOUNDS = ("least", "most", "above")


class Expectation(BaseModel):
    """One bound on the scores of one architecture at one length; ``variant`` is the name of an evaluation."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    architecture: str
    at: Annotated[int, Ge(1)]
    task: str = ""
    score: Literal["exact", "token"] = "exact"
    variant: str = ""
    least: Share | None = None
    most: Share | None = None
    above: str = ""
    seeds: Annotated[int, Ge(1)] | None = None

    @model_validator(mode="after")
    def _one_bound(self) -> "Expectation":
        given = [name for name in BOUNDS if getattr(self, name) not in (None, "")]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of {', '.join(BOUNDS)}, got {' and '.join(given) or 'none'}")
        if self.above and self.seeds:
            raise ValueError("above compares medians over all seeds; leave seeds out")
        return self

    @property
    def compared(self) -> list[str]:
        """The architectures whose scores are looked up."""
        return [name for name in (self.architecture, self.above) if name]

    @property
    def words(self) -> str:
        """The predicate in words, without the seeds."""
        what = "".join(f"{part}, " for part in (self.task, self.variant) if part) + f"{self.score} at {self.at}"
        if self.above:
            return f"{self.architecture}: {what} above {self.above}"
        return f"{self.architecture}: {what} {'>=' if self.most is None else '<='} {self._bound:g}"

    @property
    def _bound(self) -> float:
        return self.least if self.least is not None else self.most or 0.0

    def holds(self, scores: Sequence[float], others: Sequence[float], planned: int) -> bool | None:
        """Whether the scores of the seeds meet it; ``None`` where seeds are missing, or fewer than are asked for.

        ``others`` are the scores of the architecture named in ``above``.
        """
        if len(scores) < max(planned, self.seeds or 1) or (self.above and len(others) < planned):
            return None
        if self.above:
            return median(scores) > median(others)
        met = [score >= self._bound if self.most is None else score <= self._bound for score in scores]
        return sum(met) >= (self.seeds or planned)


class Claim(BaseModel):
    """A claim of the literature and what would show it; it appears if all expectations hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: Annotated[str, MinLen(1)]
    source: Annotated[str, MinLen(1)]
    task: str
    expect: Annotated[list[Expectation], MinLen(1)]


def verdict(held: Sequence[bool | None]) -> str:
    """Return what became of a claim whose expectations did, did not, or could not be looked up."""
    if False in held:
        return "does not appear"
    return "not measured" if None in held else "appears"


def canonical(known: Claim, label: Callable[[str], str], catalog: Catalog) -> Claim:
    """Write specs in one form: tasks as the catalog does, architectures by ``label``."""

    def model_of(text: str) -> str:
        return label(text) if text else ""

    def task_of(text: str) -> str:
        return str(Spec.parse("task", text, catalog)) if text else ""

    def written(each: Expectation) -> Expectation:
        names = {"architecture": model_of(each.architecture), "above": model_of(each.above), "task": task_of(each.task)}
        return each.model_copy(update=names)

    return known.model_copy(update={"task": task_of(known.task), "expect": [written(each) for each in known.expect]})
