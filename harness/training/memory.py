"""Memory limits: a population that does not fit fails before its first step and is then split in half."""

import gc
from contextlib import suppress

import torch

from harness.evaluation.malloc import return_free_memory
from harness.training.custom import loss_of
from harness.training.trainer import Trainer


def check_fits_in_memory(trainer: Trainer) -> None:
    """Compute a gradient at the longest training length and discard it; raises where memory runs out.

    Captured CUDA graphs keep memory of their own, next to that of the steps before the capture. With capture the
    gradient is therefore computed twice, the second time while as much memory as the first one took is held.
    """
    peak = _compute_gradient(trainer)
    if trainer.graphed:
        reserved = torch.empty(peak, dtype=torch.uint8, device=trainer.device)
        _compute_gradient(trainer)
        del reserved


def _compute_gradient(trainer: Trainer) -> int:
    """Compute a gradient at the longest length; return the peak bytes that it allocated on a GPU, 0 on a CPU.

    The forward's changes of buffers are not written back.
    """
    device, population = trainer.device, trainer.population
    is_cuda, before = device.type == "cuda", 0
    if is_cuda:
        torch.cuda.reset_peak_memory_stats(device)
        before = torch.cuda.memory_allocated(device)
    with torch.random.fork_rng(devices=[device] if is_cuda else []):
        batch = trainer.batches.draw(0, trainer.batches.lengths.choices[-1])
        losses = population.losses(batch, loss_of(trainer.recipe))
        if trainer.optimizer.needs_gradients:
            population.backward(losses)
    return torch.cuda.max_memory_allocated(device) - before if is_cuda else 0


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on any device."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in str(error)


def split_in_half(count: int) -> tuple[slice, slice]:
    """Return the slices of the two halves of a population."""
    return slice(0, count // 2), slice(count // 2, count)


def release_memory(device: torch.device) -> None:
    """Free the memory that Python, torch and malloc hold without using it."""
    gc.collect()
    return_free_memory()
    if device.type == "cuda":
        with suppress(RuntimeError):  # after a failed capture this may raise; the memory then stays in the cache
            torch.cuda.empty_cache()
