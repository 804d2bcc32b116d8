"""The stages of one training in their order, and what the trainer reads from them."""

from bisect import bisect_right
from typing import Any

from harness.config.stages import DPO, GRPO, PPO, Distill, Masked, Part, SelfImprove, Stage, Supervised
from harness.training.custom import factors
from harness.training.stages.base import Setting, StageTrainer
from harness.training.stages.distill import DistillTrainer
from harness.training.stages.dpo import DPOTrainer
from harness.training.stages.grpo import GRPOTrainer
from harness.training.stages.masked import MaskedTrainer
from harness.training.stages.ppo import PPOTrainer
from harness.training.stages.self_improve import SelfImproveTrainer
from harness.training.stages.supervised import SupervisedTrainer

TRAINERS: dict[type[Stage], type[StageTrainer[Any]]] = {
    Supervised: SupervisedTrainer,
    Masked: MaskedTrainer,
    SelfImprove: SelfImproveTrainer,
    DPO: DPOTrainer,
    GRPO: GRPOTrainer,
    PPO: PPOTrainer,
    Distill: DistillTrainer,
}


class Pipeline:
    """The stages of a training.

    Attributes:
        plain: whether there is one stage only, of right answers.
        factors: the learning rate of each step as a fraction of the cell's.
        checkpoints: the steps whose weights are kept beside those that the recipe asks for.
    """

    def __init__(self, setting: Setting) -> None:
        recipe = setting.recipe
        self.plain = not recipe.stages
        self.stages = [_trainer_of(setting, part) for part in recipe.timeline()]
        self.starts = [stage.part.first for stage in self.stages]
        self.factors = factors(recipe) if self.plain else [f for stage in self.stages for f in stage.rate_factors()]
        self.checkpoints = set[int]() if self.plain else set().union(*(stage.checkpoints() for stage in self.stages))

    def at(self, step: int) -> StageTrainer[Any]:
        """Return the stage of a step, counted from 0."""
        return self.stages[bisect_right(self.starts, step) - 1]

    def starts_at(self, step: int) -> bool:
        """Whether a stage after the first one begins with a step."""
        return step > 0 and step in self.starts


def _trainer_of(setting: Setting, part: Part) -> StageTrainer[Any]:
    return TRAINERS[type(part.stage)](setting, part, part.stage)
