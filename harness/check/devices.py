"""Where things are computed: on the device they are given, with nothing brought from elsewhere.

A GPU is not needed to see it: torch's meta device has shapes and no numbers, so that a tensor made on the CPU and a
look at a value both show.
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

WAITING_TAGS = {torch.Tag.data_dependent_output, torch.Tag.dynamic_output_shape}
CHOOSES = {torch.ops.aten.index.Tensor, torch.ops.aten.index_put_.default, torch.ops.aten.index_put.default}
"""Operations that wait for the device only where an index is a mask."""
FROM_PYTHON = torch.ops.aten.lift_fresh.default
"""A tensor made from Python's numbers is copied to the device, and waited for; a single number set in place is not."""


def waits(operation: Any, arguments: tuple[Any, ...]) -> bool:
    """Whether an operation would wait for a GPU."""
    if operation in CHOOSES:
        return any(isinstance(each, Tensor) and each.dtype == torch.bool for each in arguments[1])
    if operation is FROM_PYTHON:
        return arguments[0].dim() > 0
    return bool(WAITING_TAGS & set(operation.tags))


class Watch(TorchDispatchMode):
    """Raise as torch does where an operation would wait for a GPU."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if waits(operation, args):
            raise RuntimeError(f"called a {SYNC_ERROR}: {operation}")
        return operation(*args, **(kwargs or {}))


class Elsewhere(RuntimeError):
    """An operation on the CPU, where all should be on another device."""


class NothingFromCPU(TorchDispatchMode):
    """Raise where an operation reads or makes more than one number on the CPU."""

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operation(*args, **(kwargs or {}))
        if any(isinstance(x, Tensor) and x.dim() and x.device.type == "cpu" for x in tree_leaves((args, kwargs, made))):
            raise Elsewhere(f"{operation.name()} works on the CPU")
        return made


@torch.no_grad()
def stays_on_its_device(subject: ModelSubject) -> None:
    """Everything in a forward lies on the device of the tokens, and no value is looked at."""
    model = subject.build().train()
    moved = {name: torch.empty_like(x, device=META) for name, x in (*model.named_parameters(), *model.named_buffers())}
    tokens = (torch.zeros(2, width, dtype=torch.long, device=META) for width in (6, 4))
    try:
        with NothingFromCPU():
            logits = functional_call(model, moved, tuple(tokens))
    except Exception as error:
        raise CheckFailed(
            f"with tokens on another device than the CPU it raises: {error_location(error, subject.entry.path)}; "
            "give device= to what makes tensors, keep tables in buffers, and branch on no value"
        ) from error
    expect(logits.device == META, f"the logits must lie where the tokens do, not on the {logits.device.type}")


def makes_data_there(subject: TaskSubject) -> str | None:
    """Questions, answers and grades are made on the stream's device; tables are tensors held by the task itself."""
    if _waits(subject):
        return "waits for a GPU, which has to tell it a value"
    there, keys = Presentation(subject.task).on(META), seed_keys((0,), str(subject.spec), Purpose.CHECK, META)

    def make() -> Batch:
        made = there(there.task.sample(subject.middle, Stream.from_keys(keys, 0, 8)))
        there.grade(made.source, made.target, made.target)
        return made

    try:
        make()  # what is made once may come from the CPU
        with NothingFromCPU():
            made = make()
    except Exception as error:
        raise CheckFailed(
            f"on another device than the CPU it raises: {error_location(error, subject.entry.path)}; "
            "give device=source.device to what makes tensors, and keep tables as attributes"
        ) from error
    expect(made.target.device == META, f"answers must lie where questions do, not on the {made.target.device.type}")
    return None


def _waits(subject: TaskSubject) -> bool:
    subject.task.solve(subject.questions(subject.middle))  # what is made once may wait
    stream = subject.stream(8)
    try:
        with Watch():
            subject.task.solve(subject.task.sample(subject.middle, stream))
    except RuntimeError as error:
        if SYNC_ERROR in str(error):
            return True
        raise
    return False
