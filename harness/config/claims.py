"""Claims of the literature as predicates on scores. They are written before a run and checked against its scores.

A suite lists them in ``[[known]]`` tables, and the report says of each claim whether it appears::

    [[known]]
    claim = "An LSTM carries parity far beyond training"
    source = "Deletang et al. 2023, table 2"
    task = "parity"
    expect = [{ architecture = "lstm", at = 80, least = 0.99, seeds = 4 }]

``least`` and ``most`` bound the score at one length, in at least ``seeds`` of the seeds (default: in all of them).
``above`` requires a higher median over seeds than another architecture has at the same length. An expectation is about
the task of its claim unless it names another task.

A model that did not fit its training lengths says nothing about longer ones, so its failure there is no evidence. An
expectation is therefore not tested

- if seeds are missing;
- if ``least`` does not hold and fewer than ``seeds`` of the seeds fitted;
- if ``most`` does not hold and fewer than ``seeds`` of the seeds fitted, where only fitted seeds count for ``most``;
- if the lower of the two architectures that ``above`` compares did not fit in more than half of its seeds.

``unfit_counts = true`` is for claims that a task cannot be learned even at training lengths: there, a seed that did not
fit is evidence of failure like any other. A claim with an expectation that is not tested is not put to the test.
"""

from collections.abc import Callable, Sequence
from statistics import median
from typing import Annotated, Literal, NamedTuple

from annotated_types import Ge, Le, MinLen
from pydantic import BaseModel, ConfigDict, model_validator

from harness.registry.catalog import Catalog
from harness.registry.options import Spec

Share = Annotated[float, Ge(0), Le(1)]
BOUNDS = ("least", "most", "above")

APPEARS, FAILS, UNTESTED = "appears", "does not appear", "not put to the test"
"""The verdicts on a claim."""


class SeedScore(NamedTuple):
    """The score of one seed, and whether the seed fitted its training lengths."""

    score: float
    fit: bool


class Expectation(BaseModel):
    """One bound on the scores of one architecture at one length.

    Attributes:
        at: the length.
        task: spec of the task; empty for the task of the claim.
        variant: name of an evaluation of the suite; empty for the task itself.
        least: smallest score that meets the expectation.
        most: largest score that meets the expectation.
        above: spec of the architecture whose median must be exceeded.
        seeds: number of seeds that must meet ``least`` or ``most``; ``None`` for all.
        unfit_counts: whether a seed that did not fit its training lengths is evidence of failure.
    """

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
    unfit_counts: bool = False

    @model_validator(mode="after")
    def _one_bound(self) -> "Expectation":
        bounds = [name for name in BOUNDS if getattr(self, name) not in (None, "")]
        if len(bounds) != 1:
            raise ValueError(f"needs exactly one of {', '.join(BOUNDS)}, got {' and '.join(bounds) or 'none'}")
        if self.above and self.seeds:
            raise ValueError("above compares medians over all seeds; leave seeds out")
        return self

    @property
    def compared(self) -> list[str]:
        """The architectures whose scores are needed."""
        return [name for name in (self.architecture, self.above) if name]

    @property
    def words(self) -> str:
        """The predicate in words, without the number of seeds."""
        score = "".join(f"{part}, " for part in (self.task, self.variant) if part) + f"{self.score} at {self.at}"
        bound = f"above {self.above}" if self.above else f"{'>=' if self.most is None else '<='} {self._bound:g}"
        return f"{self.architecture}: {score} {bound}" + (", fitted or not" if self.unfit_counts else "")

    @property
    def _bound(self) -> float:
        return self.least if self.least is not None else self.most or 0.0

    def holds(self, seeds: Sequence[SeedScore], others: Sequence[SeedScore], planned: int) -> bool | None:
        """Return whether the seeds meet the expectation; ``None`` where it is not tested.

        Args:
            seeds: of the architecture.
            others: of the architecture named in ``above``.
            planned: number of seeds of the run.
        """
        if len(seeds) < max(planned, self.seeds or 1) or (self.above and len(others) < planned):
            return None
        if self.above:
            return self._is_above(seeds, others)
        required = self.seeds or planned
        if sum(map(self._is_met, seeds)) >= required:
            return True
        return False if self.unfit_counts or _fitted(seeds) >= required else None

    def _is_above(self, seeds: Sequence[SeedScore], others: Sequence[SeedScore]) -> bool | None:
        above = median(seed.score for seed in seeds) > median(seed.score for seed in others)
        lower = others if above else seeds
        # A median is the score of half of the seeds, so more than half must have been able to score.
        return above if self.unfit_counts or 2 * _fitted(lower) > len(lower) else None

    def _is_met(self, seed: SeedScore) -> bool:
        if self.most is None:
            return seed.score >= self._bound
        return seed.score <= self._bound and (seed.fit or self.unfit_counts)


def _fitted(seeds: Sequence[SeedScore]) -> int:
    return sum(seed.fit for seed in seeds)


class Claim(BaseModel):
    """A claim of the literature. It appears in a run if all its expectations are tested and hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    claim: Annotated[str, MinLen(1)]
    source: Annotated[str, MinLen(1)]
    task: str
    expect: Annotated[list[Expectation], MinLen(1)]


def verdict(held: Sequence[bool | None]) -> str:
    """Return the verdict on a claim, given for each expectation whether it holds or is not tested (``None``)."""
    if None in held:
        return UNTESTED
    return FAILS if False in held else APPEARS


def with_canonical_specs(claim: Claim, label: Callable[[str], str], catalog: Catalog) -> Claim:
    """Return the claim with its specs in canonical form.

    Tasks are written as by :class:`~harness.registry.options.Spec`. ``label`` maps an architecture as the suite writes
    it to its form in tables.
    """

    def canonical_architecture(text: str) -> str:
        return label(text) if text else ""

    def canonical_task(text: str) -> str:
        return str(Spec.parse("task", text, catalog)) if text else ""

    def canonical(expected: Expectation) -> Expectation:
        specs = {
            "architecture": canonical_architecture(expected.architecture),
            "above": canonical_architecture(expected.above),
            "task": canonical_task(expected.task),
        }
        return expected.model_copy(update=specs)

    expect = [canonical(expected) for expected in claim.expect]
    return claim.model_copy(update={"task": canonical_task(claim.task), "expect": expect})
