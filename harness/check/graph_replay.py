"""Checks that a CUDA graph would replay correctly, made on a CPU: operations are recorded and run again.

A replayed CUDA graph reads and writes memory only. A value that a step took from Python (a counter, a draw of
``random``, a branch on a value) stays what it was at the capture. The checks make that difference visible.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from harness.check.devices import SyncDetector
from harness.check.equivalence import (
    RATES,
    SEEDS,
    batching_obstacle,
    draws_in_training,
    evaluated_logits,
    trainer_of,
)
from harness.check.fixtures import ModelSubject, TaskSubject, random_tokens
from harness.check.result import Skip, expect, expect_equal
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from harness.training.cuda_graphs import WARM_UP, Graph, GraphedFunction, Inputs

STEPS = WARM_UP + 1
"""The last one is the first that is replayed and nothing else."""
RECIPE = Recipe(steps=STEPS, batch_size=4, train_lengths=Span(6, 6), warmup=2)


class OpRecorder(TorchDispatchMode):
    """Records operations with the tensors they read and wrote.

    Tensors inside oneDNN's fused recurrences are not visible to it.
    """

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        # An operation may change the shape of a tensor in place, so the shapes at this moment are recorded.
        recorded_args, recorded_kwargs = _aliases((args, kwargs or {}))
        result = operation(*args, **(kwargs or {}))
        self.calls.append((operation, recorded_args, recorded_kwargs, _aliases(result)))
        return result

    @torch.no_grad()
    def replay(self) -> None:
        """Run all operations again and write each result to the memory of the recorded result."""
        for operation, args, kwargs, result in self.calls:
            new_args, new_kwargs = _aliases((args, kwargs))
            for recorded, new in zip(tree_leaves(result), tree_leaves(operation(*new_args, **new_kwargs)), strict=True):
                if isinstance(recorded, Tensor) and not _share_memory(recorded, new):
                    recorded.copy_(new)


def _aliases(values: Any) -> Any:
    """Return nested values with each tensor replaced by another tensor that has the same memory and shape."""
    return tree_map(lambda value: value.detach() if isinstance(value, Tensor) else value, values)


def _share_memory(a: Tensor, b: Tensor) -> bool:
    """Whether a new result needs no copy, because it is a view or was written in place."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class CPURecorder:
    """Implements :class:`~harness.training.cuda_graphs.GraphRecorder` on a CPU.

    Recording a call also runs it, so the first replay of its graph does nothing.
    """

    def on_stream(self) -> AbstractContextManager[None]:
        """Return a context that does nothing: a CPU has no streams."""
        return nullcontext()

    @contextmanager
    def sync_forbidden(self) -> Iterator[None]:
        """Raise if an operation would wait for a GPU."""
        with SyncDetector():
            yield

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Run a call and record its operations."""
        with OpRecorder() as recorder:
            outputs = call(*inputs)
        is_first = True

        def replay() -> None:
            nonlocal is_first
            if not is_first:
                recorder.replay()
            is_first = False

        return Graph(replay, inputs, outputs)


def training_can_be_replayed(subject: ModelSubject) -> str | None:
    """Training steps replayed from recorded operations equal plain training steps."""
    if subject.model.is_gradient_free():
        raise Skip("the model is fitted, not trained step by step")
    if draws_in_training(subject) and _draws_only_from_torch(subject):
        raise Skip("the model draws random numbers in training")
    obstacle = batching_obstacle(subject)
    models = 1 if obstacle else len(SEEDS)
    plain, replayed = (trainer_of(subject, SEEDS[:models], RATES[:models], RECIPE) for _ in range(2))
    replayed.use_graphs(CPURecorder())
    for trainer in (plain, replayed):
        for _ in range(STEPS):
            trainer.step()
    if reason := replayed.graphed["learn"].reason:
        return f"a step {reason}, so a GPU launches its kernels one by one"
    message = "a replayed training step must equal a plain one: keep no counter or random number in Python; losses"
    expect_equal(replayed.losses, plain.losses, message)
    actual, expected = (evaluated_logits(trainer.population) for trainer in (replayed, plain))
    expect_equal(
        actual, expected, "replayed training steps must leave the model of plain ones; its logits in evaluation"
    )
    return obstacle


def _draws_only_from_torch(subject: ModelSubject) -> bool:
    """Whether two forwards in training mode agree after torch's generator is reset."""
    model, source, logits = subject.build().train(), random_tokens(1, 5), []
    for _ in range(2):
        torch.manual_seed(0)
        logits.append(model(source, None))
    return torch.equal(*logits)


def data_can_be_replayed(subject: TaskSubject) -> str | None:
    """Sources and targets replayed from recorded operations equal those drawn anew at each step."""
    presentation, length = Presentation(subject.task), subject.middle
    keys, step_tensor = seed_keys((0,), str(subject.spec), Purpose.CHECK, "cpu"), torch.zeros(1, dtype=torch.long)

    def draw(size: int) -> Inputs:
        return presentation(presentation.task.sample(size, Stream.from_keys(keys, step_tensor, 8)))

    graphed = GraphedFunction(draw, CPURecorder())
    for step in range(STEPS):
        step_tensor.fill_(step)
        is_same = all(
            a is b or (a is not None and b is not None and torch.equal(a, b))
            for a, b in zip(graphed(length), draw(length), strict=True)
        )
        advice = "let sample and solve depend only on the stream and the source"
        expect(is_same, f"the data of step {step} must be the same when made twice or replayed; {advice}")
    return f"making data {graphed.reason}" if graphed.reason else None
