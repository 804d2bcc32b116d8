"""Shards: the parts of a plan that the jobs of an array on a cluster train, each into a folder of its own.

The split depends on the plan alone, so every job computes it by itself and no job waits for another. A part consists of
pairs of architecture and task, because the learning rate of a pair is chosen from its own tuning cells.
"""

import re
from dataclasses import dataclass, replace

from harness.errors import UserError
from harness.execution.plan import Pair, Plan

MOST_SHARDS = 100_000


@dataclass(frozen=True)
class Shard:
    """Part ``index`` of ``count``, counted from 1."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``2/8``; raise :class:`UserError` for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        index, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= index <= count <= MOST_SHARDS:
            raise UserError(f"--shard {text}: write I/N with I from 1 to N, for example 1/8")
        return cls(index, count)

    @property
    def name(self) -> str:
        """The end of the name of the shard's folder."""
        return f"{self.index}-of-{self.count}"


def cost(pair: Pair, plan: Plan) -> float:
    """Return an estimate of the work of a pair: the tokens that its models are trained on."""
    recipe, suite = pair.task.recipe, plan.suite
    models = suite.seeds + (suite.tuning_seeds * len(suite.learning_rates) if plan.searches else 0)
    mean_length = (recipe.train_lengths.low + recipe.train_lengths.high) / 2
    return models * recipe.steps * recipe.batch_size * mean_length


def split(plan: Plan, count: int) -> list[Plan]:
    """Return the plan in ``count`` parts of similar cost: the most expensive pair first, to the part with the least.

    Pairs that cannot be trained are in the first part.

    Raises:
        UserError: if there are fewer pairs than parts.
    """
    pairs = plan.pairs
    if count > len(pairs):
        raise UserError(f"{count} shards: must be at most {len(pairs)}, one for each pair of architecture and task")
    costs = {pair: cost(pair, plan) for pair in pairs}
    ordered = sorted(pairs, key=lambda pair: (-costs[pair], str(pair.architecture), str(pair.task.task)))
    loads, place = [0.0] * count, dict.fromkeys(plan.not_applicable, 0)
    for pair in ordered:
        place[pair] = loads.index(min(loads))
        loads[place[pair]] += costs[pair]
    return [_only(plan, {pair for pair in place if place[pair] == index}) for index in range(count)]


def part(plan: Plan, shard: Shard) -> Plan:
    """Return the part of a plan that belongs to a shard."""
    return split(plan, shard.count)[shard.index - 1]


def _only(plan: Plan, pairs: set[Pair]) -> Plan:
    return replace(plan, all_pairs=tuple(pair for pair in plan.all_pairs if pair in pairs))
