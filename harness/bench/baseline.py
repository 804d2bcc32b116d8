"""A hand-written training loop with torch's optimizer and clipping, on the same model and the same batches."""

from functools import partial

import torch
import torch.nn.functional as F

from harness.bench.workload import Workload
from harness.training.schedules import rate_factor
from tasks.base import IGNORE


class PlainLoop:
    """A hand-written training loop for a workload."""

    def __init__(self, workload: Workload) -> None:
        self.model = workload.build().to(workload.device)
        self.batches, self.recipe = workload.batches(), workload.cell.recipe
        self.optimizer = torch.optim.AdamW(self.model.parameters(), workload.cell.learning_rate, weight_decay=0.0)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, partial(rate_factor, self.recipe))
        self.steps_taken = 0

    def step(self) -> None:
        """Take one training step."""
        source, prefix, target = self.batches(self.steps_taken)
        logits = self.model(source, prefix)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.schedule.step()
        self.steps_taken += 1
