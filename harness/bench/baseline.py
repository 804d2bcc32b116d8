"""The loop anyone would write: torch's optimizer, torch's clipping, the same model on the same batches."""

import torch
import torch.nn.functional as F

from harness.bench.workload import Workload
from tasks.base import IGNORE


class PlainLoop:
    """A hand-written training loop for a subject."""

    def __init__(self, subject: Workload) -> None:
        self.model = subject.build().to(subject.device)
        self.data, self.recipe = subject.batches(), subject.cell.recipe
        self.optimizer = torch.optim.AdamW(self.model.parameters(), subject.cell.learning_rate, weight_decay=0.0)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimizer, self.recipe.factor)
        self.done = 0

    def step(self) -> None:
        """Take one training step."""
        source, prefix, target = self.data(self.done)
        logits = self.model(source, prefix)
        loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=IGNORE)
        self.optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.recipe.clip)
        self.optimizer.step()
        self.schedule.step()
        self.done += 1
