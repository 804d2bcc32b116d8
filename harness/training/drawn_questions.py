"""Hashes of the questions that each model was trained on, to count distinct ones and find test questions among them.

The hashes stay on the device, in a tensor of fixed size, so that a CUDA graph can store them. Only the first
:data:`MOST` questions of a model are kept.
"""

from collections.abc import Mapping

import torch
from torch import Tensor

from harness.data.questions import question_hashes

MOST = 1 << 20


class DrawnQuestions:
    """The hashes of ``models`` models that draw ``rows`` questions in each of ``steps`` steps.

    Attributes:
        hashes: long ``[models, kept steps + 1, rows]``; all steps that are not kept share the last place.
    """

    def __init__(self, models: int, steps: int, rows: int, device: torch.device) -> None:
        self.kept = min(steps, MOST // rows)
        self.hashes = torch.zeros(models, self.kept + 1, rows, dtype=torch.long, device=device)

    def add(self, source: Tensor, step: Tensor) -> None:
        """Store the questions ``[models * rows, S]`` of a step, a long tensor ``[1]``."""
        hashes = question_hashes(source).view(len(self.hashes), 1, -1)
        self.hashes.index_copy_(1, step.clamp(max=self.kept), hashes)

    def of_steps(self, steps: int) -> Tensor:
        """Return a view of the hashes of the first steps, ``[models, steps, rows]``."""
        return self.hashes[:, : min(steps, self.kept)]

    def shares(self, model: int, steps: int, tested: Mapping[int, Tensor]) -> tuple[float, dict[int, float]]:
        """Return the share of distinct questions in a model's first steps, and of the tested hashes among them."""
        drawn = self.hashes[model, : min(steps, self.kept)].flatten()
        questions = drawn.unique()
        seen = {length: float(torch.isin(hashes, questions).double().mean()) for length, hashes in tested.items()}
        return questions.numel() / max(1, drawn.numel()), seen
