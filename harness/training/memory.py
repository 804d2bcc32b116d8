"""A rehearsal: a population too large for its memory fails before its first step, and can be halved."""

import gc
from contextlib import suppress

import torch

from harness.training.trainer import Trainer


def check_fits_in_memory(trainer: Trainer) -> None:
    """Compute a gradient at the longest training length and discard it; raises where memory runs out.

    Captured CUDA graphs keep memory of their own, next to that of the steps before the capture. With capture the
    gradient is therefore computed twice, the second time while as much memory as the first one took is held.
    """
    taken = _bytes_of_a_gradient(trainer)
    if trainer.graphed:
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
    longest = max(range(trainer.recipe.steps), key=trainer.batches.lengths.__getitem__)
    with torch.random.fork_rng(devices=[device] if cuda else []):
        losses = population.losses(trainer.batches(longest), trainer.recipe.label_smoothing)
        if trainer.optimizer.needs_gradients:
            population.backward(losses)
    return torch.cuda.max_memory_allocated(device) - before if cuda else 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    words = str(error)
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in words


def split_in_half(count: int) -> tuple[slice, slice]:
    """Cut a population that is too large for its memory."""
    return slice(0, count // 2), slice(count // 2, count)


def release_memory(device: torch.device) -> None:
    """Give the memory back that Python and torch hold for nothing."""
    gc.collect()
    if device.type == "cuda":
        with suppress(RuntimeError):  # after a capture that broke the allocator may refuse; what is lost is memory
            torch.cuda.empty_cache()
