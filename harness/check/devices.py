"""Checks that everything is computed on one device, and that no step waits for a GPU.

The checks need no GPU. They use torch's meta device, whose tensors have shapes but no values. An operation on a CPU
tensor is therefore visible, and reading a value raises.
"""

from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.check.fixtures import ModelSubject, TaskSubject
from harness.check.result import CheckFailed, error_location, expect
from harness.data.presentation import Batch, Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from harness.training.cuda_graphs import SYNC_ERROR

META = torch.device("meta")

SYNC_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
INDEXING = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}
"""Operations that wait for the device only if an index is a mask."""
FROM_PYTHON = torch.ops.aten.lift_fresh.default
"""Copies a tensor made from Python numbers to the device and waits for it; setting a single number does not wait."""


def waits_for_device(operation: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether an operation would wait for a GPU."""
    if operation in INDEXING:
        return any(isinstance(index, Tensor) and index.dtype == torch.bool for index in arguments[1])
    if operation is FROM_PYTHON:
        return arguments[0].dim() > 0
    return bool(SYNC_TAGS & set(operation.tags))


class SyncDetector(TorchDispatchMode):
    """Raises the error that torch raises on a GPU if an operation would wait for the device."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if waits_for_device(operation, args):
            raise RuntimeError(f"called a {SYNC_ERROR}: {operation}")
        return operation(*args, **(kwargs or {}))


class CPUOperationError(RuntimeError):
    """An operation ran on the CPU although another device is in use."""


class CPUDetector(TorchDispatchMode):
    """Raises :class:`CPUOperationError` if an operation reads or returns a CPU tensor with dimensions."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = operation(*args, **(kwargs or {}))
        tensors = (leaf for leaf in tree_leaves((args, kwargs, result)) if isinstance(leaf, Tensor))
        if any(x.dim() and x.device.type == "cpu" for x in tensors):
            raise CPUOperationError(f"{operation.name()} works on the CPU")
        return result


@torch.no_grad()
def computes_on_one_device(subject: ModelSubject) -> None:
    """A forward computes everything on the device of its tokens and never reads a value of a tensor."""
    model = subject.build().train()
    tensors = (*model.named_parameters(), *model.named_buffers())
    on_meta = {name: torch.empty_like(x, device=META) for name, x in tensors}
    source, prefix = (torch.zeros(2, width, dtype=torch.long, device=META) for width in (6, 4))
    try:
        with CPUDetector():
            logits = functional_call(model, on_meta, (source, prefix))
    except Exception as error:
        raise CheckFailed(
            f"with tokens on another device than the CPU, forward raises {error_location(error, subject.entry.path)}; "
            "pass device= where tensors are created, keep tables in buffers, and do not branch on values"
        ) from error
    expect(logits.device == META, f"logits must be on the device of the tokens, but are on {logits.device.type}")


def makes_data_on_one_device(subject: TaskSubject) -> str | None:
    """Sources, targets and grades are made on the device of the stream; tables are tensors held by the task."""
    if _waits_for_device(subject):
        return "making data reads a value of a tensor, and so waits for a GPU"
    presentation = Presentation(subject.task).on(META)
    keys = seed_keys((0,), str(subject.spec), Purpose.CHECK, META)

    def make_batch() -> Batch:
        batch = presentation(presentation.task.sample(subject.middle, Stream.from_keys(keys, 0, 8)))
        presentation.grade(batch.source, batch.target, batch.target)
        return batch

    try:
        make_batch()  # tables that are made once may come from the CPU
        with CPUDetector():
            batch = make_batch()
    except Exception as error:
        raise CheckFailed(
            f"on another device than the CPU, making data raises {error_location(error, subject.entry.path)}; "
            "pass device=source.device where tensors are created, and keep tables as attributes"
        ) from error
    expect(batch.target.device == META, f"targets must be on the device of sources, not on {batch.target.device.type}")
    return None


def _waits_for_device(subject: TaskSubject) -> bool:
    """Whether sampling and solving would wait for a GPU, once tables are made."""
    subject.task.solve(subject.sources(subject.middle))  # tables that are made once may wait
    stream = subject.stream(8)
    try:
        with SyncDetector():
            subject.task.solve(subject.task.sample(subject.middle, stream))
    except RuntimeError as error:
        if SYNC_ERROR in str(error):
            return True
        raise
    return False
