"""One cell of a table of architectures by tasks."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import nan
from typing import Any

from harness.report.number_format import score

STATUS_TEXTS = {
    "not applicable": "n/a",
    "not planned": "",
    "missing": "not run",
    "not evaluated": "no scores",
    "failed": "failed",
}
MARKS = {
    "†": "longer lengths were not evaluated (above the model's maximum length or out of memory); they are missing, "
    "not zero",
    "§": "some logits were not finite (NaN or infinite); they count as wrong answers",
    "‡": "the chosen learning rate lies at the edge of its grid",
    "*": "trained by an earlier version of the code",
    "…": "some seeds have not been trained or evaluated yet",
}


@dataclass(frozen=True)
class TableCell:
    """The scores of one architecture on one task over its seeds, or the reason why there are none.

    ``levels`` are the median scores beyond training on a scale from chance (0) to perfect (1), for colours.
    """

    status: str
    reason: str = ""
    solved_to: str = ""
    scores: dict[str, float] = field(default_factory=dict)
    levels: dict[str, float] = field(default_factory=dict)
    solved: float = nan
    fitted: int = 0
    graded: int = 0
    failed: int = 0
    marks: str = ""

    @classmethod
    def of(cls, row: Mapping[Any, Any], chance_exact: float, chance_token: float, finite: bool = True) -> "TableCell":
        """Build a cell from a row of the summary; ``finite`` says that all logits were finite."""
        waiting = row["planned"] - row["graded"] - (row["failed"] if not row["graded"] else 0)
        flags = {
            "†": row["ended"],
            "§": not finite,
            "‡": row["edge"],
            "*": row["stale"],
            "…": row["graded"] and waiting > 0,
        }
        return cls(
            row["status"],
            solved_to=row["solved_to"],
            scores={"exact": row["exact"], "token": row["token"]},
            levels={"exact": _level(row["exact"], chance_exact), "token": _level(row["token"], chance_token)},
            solved=row["solved"],
            fitted=row["fitted"],
            graded=row["graded"],
            failed=row["failed"],
            marks="".join(mark for mark, is_set in flags.items() if is_set),
        )

    @property
    def has_scores(self) -> bool:
        """Whether there is any score."""
        return self.status == "ok"

    @property
    def fits(self) -> bool:
        """Whether at least half of the seeds solved their training lengths."""
        return self.graded > 0 and 2 * self.fitted >= self.graded

    @property
    def status_text(self) -> str:
        """The text that replaces the score where there is none."""
        return STATUS_TEXTS.get(self.status, self.status)

    @property
    def solved_text(self) -> str:
        """Solved to, with marks: ``>=160‡``."""
        return (self.solved_to or "unknown") + self.marks

    @property
    def fit_text(self) -> str:
        """The number of seeds that fit: ``2/3 fit``."""
        return f"{self.fitted}/{self.graded} fit"

    @property
    def headline(self) -> str:
        """Solved to and the seeds that fit: ``>=160‡ (3/3 fit)``."""
        return f"{self.solved_text} ({self.fit_text})" if self.has_scores else self.status_text

    def score_text(self, name: str) -> str:
        """Return the median score beyond training, in brackets where fewer than half of the seeds fit."""
        if not self.has_scores:
            return self.status_text
        text = score(self.scores[name]) + self.marks
        return text if self.fits else f"({text})"


def _level(value: float, chance: float) -> float:
    floor = chance if chance < 1 else 0.0
    return min(max((value - floor) / (1 - floor), 0.0), 1.0)
