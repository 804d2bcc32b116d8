"""Learning rates: each pair of architecture and task gets its own, chosen on seeds that are never reported.

A suite with several learning rates trains every pair at each of them with the *tuning seeds*. The best one by
validation at training lengths then trains the reported seeds. Test scores are never used. The tuning cells stay in the
records, so a report shows the scores at all rates.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness.execution.plan import Plan
from harness.storage.folder import RunFolder
from harness.storage.summaries import Validation


def best_rate(validations: Mapping[float, Sequence[Validation]]) -> float:
    """Return the rate with the highest mean exact match, then the lowest mean loss, then the smallest rate."""

    def rank(rate: float) -> tuple[float, float, float]:
        exact, loss = (sum(values) / len(values) for values in zip(*validations[rate], strict=True))
        return -round(exact, 9), loss, rate

    return min(validations, key=rank)


def with_chosen_rates(plan: Plan, folder: RunFolder) -> Plan:
    """Return the plan with the learning rate of each pair whose tuning cells all have a record."""
    chosen = {}
    for pair in plan.pairs:
        validations: dict[float, list[Validation]] = {}
        for cell in plan.tuning_cells(pair):
            summary = folder.summaries.of(cell) or folder.summaries.of(cell.as_written())  # the ids of older records
            if summary is None or summary.cause == "machine":
                break
            validations.setdefault(cell.learning_rate, []).append(summary.validation)
        else:
            if validations:
                chosen[pair] = best_rate(validations)
    return replace(plan, chosen_rates=chosen)
