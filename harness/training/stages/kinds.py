"""The trainer of each kind of stage. New kinds are entered here, so the code of plain trainings stays the same."""

from typing import Any

from harness.config.stages import (
    DPO,
    GRPO,
    PPO,
    Compiled,
    Distill,
    Masked,
    Part,
    SelfImprove,
    Stage,
    StatePassing,
    Supervised,
)
from harness.training.stages.base import StageTrainer
from harness.training.stages.compiled import CompiledTrainer
from harness.training.stages.distill import DistillTrainer
from harness.training.stages.dpo import DPOTrainer
from harness.training.stages.grpo import GRPOTrainer
from harness.training.stages.masked import MaskedTrainer
from harness.training.stages.ppo import PPOTrainer
from harness.training.stages.self_improve import SelfImproveTrainer
from harness.training.stages.setting import Setting
from harness.training.stages.state_passing import StatePassingTrainer
from harness.training.stages.supervised import SupervisedTrainer

TRAINERS: dict[type[Stage], type[StageTrainer[Any]]] = {
    Supervised: SupervisedTrainer,
    StatePassing: StatePassingTrainer,
    Masked: MaskedTrainer,
    SelfImprove: SelfImproveTrainer,
    DPO: DPOTrainer,
    GRPO: GRPOTrainer,
    PPO: PPOTrainer,
    Distill: DistillTrainer,
    Compiled: CompiledTrainer,
}


def trainer_of(setting: Setting, part: Part) -> StageTrainer[Any]:
    """Return the trainer of a stage."""
    return TRAINERS[type(part.stage)](setting, part, part.stage)
