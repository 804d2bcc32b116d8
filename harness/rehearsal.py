"""A rehearsal: a population too large for its memory fails before its first step, and can be halved."""

import torch

from harness.fitting import Fitting
from harness.train import Trainer


def rehearse(trainer: Trainer) -> None:
    """Compute a gradient at the longest length and forget it; raise where memory runs out.

    Captured steps keep their memory to themselves, beside that of the steps that come before a capture: for them it is
    done twice, the second time beside as much memory as the first time took.
    """
    taken = _bytes_of_a_gradient(trainer)
    if trainer.captured:
        beside = torch.empty(taken, dtype=torch.uint8, device=trainer.device)
        _bytes_of_a_gradient(trainer)
        del beside


def _bytes_of_a_gradient(trainer: Trainer) -> int:
    """Compute it; return how far it raised the memory of a GPU's tensors, 0 elsewhere."""
    device, population = trainer.device, trainer.population
    cuda, before = device.type == "cuda", 0
    if cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    longest = max(range(trainer.recipe.steps), key=trainer.data.lengths.__getitem__)
    with torch.random.fork_rng(devices=[device] if cuda else []):
        losses = population.losses(trainer.data(longest), trainer.recipe.label_smoothing)
        if not isinstance(trainer.optimizer, Fitting):
            population.backward(losses)
    return torch.cuda.max_memory_allocated(device) - before if cuda else 0
