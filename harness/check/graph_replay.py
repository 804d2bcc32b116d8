"""What a GPU would replay, without a GPU: a step is written down operation by operation and done again from the list.

A captured step sees memory alone. Whatever else it took from Python (a counter, a draw of ``random``, a branch on a
value) stays what it was when the step was captured, and this makes the difference visible on a CPU.
"""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from harness.check.devices import Watch
from harness.check.equivalence import RATES, SEEDS, draws_in_training, trainer_of
from harness.check.fixtures import ModelSubject, TaskSubject, tokens
from harness.check.result import Skip, expect, expect_equal
from harness.config.lengths import Span
from harness.config.recipe import Recipe
from harness.data.presentation import Presentation
from harness.data.rng import Purpose, Stream, seed_keys
from harness.training.cuda_graphs import Graph, GraphedFunction, Inputs

STEPS = 6
RECIPE = Recipe(steps=STEPS, batch_size=4, train_lengths=Span(6, 6), warmup=2)


class OpRecorder(TorchDispatchMode):
    """Writes operations down with the memory they read and wrote; oneDNN's fused recurrences hide some of theirs."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = operation(*args, **(kwargs or {}))
        self.calls.append((operation, args, kwargs or {}, made))
        return made

    @torch.no_grad()
    def replay(self) -> None:
        """Do all operations again, each result where it was the first time."""
        for operation, args, kwargs, made in self.calls:
            for kept, new in zip(tree_leaves(made), tree_leaves(operation(*args, **kwargs)), strict=True):
                if isinstance(kept, Tensor) and not _same_memory(kept, new):
                    kept.copy_(new)


def _same_memory(a: Tensor, b: Tensor) -> bool:
    """Whether a result is a view or was written in place."""
    return a.untyped_storage().data_ptr() == b.untyped_storage().data_ptr()


class CPURecorder:
    """Stands where a GPU's lane would: what it records, it does at once, so that the first replay is done already."""

    def on_stream(self) -> AbstractContextManager[None]:
        """Nothing is beside anything here."""
        return nullcontext()

    @contextmanager
    def sync_forbidden(self) -> Iterator[None]:
        """Raise where a GPU would be waited for."""
        with Watch():
            yield

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Do a call and write it down."""
        with OpRecorder() as tape:
            outputs = call(*inputs)
        done = [True]

        def replay() -> None:
            if done:
                done.clear()
            else:
                tape.replay()

        return Graph(replay, inputs, outputs)


def replays(subject: ModelSubject) -> str | None:
    """A training step done again from its list of operations is the next training step."""
    if subject.model.is_gradient_free():
        raise Skip("is fitted, not trained step by step")
    if draws_in_training(subject) and _draws_from_torch(subject):
        raise Skip("draws random numbers in training")
    plain, again = (trainer_of(subject, SEEDS, RATES, RECIPE) for _ in range(2))
    again.use_graphs(CPURecorder())
    for trainer in (plain, again):
        for _ in range(STEPS):
            trainer.step()
    if obstacle := again.graphed["learn"].obstacle:
        return f"a step {obstacle}, so that a GPU launches its kernels one by one"
    expect_equal(again.losses, plain.losses, "a step that is replayed must do what it does; losses")
    return None


def _draws_from_torch(subject: ModelSubject) -> bool:
    """Whether torch's generator alone makes two calls differ."""
    model, source, seen = subject.build().train(), tokens(1, 5), []
    for _ in range(2):
        torch.manual_seed(0)
        seen.append(model(source, None))
    return torch.equal(*seen)


def draws_again(subject: TaskSubject) -> str | None:
    """Questions and answers made again from their list of operations are those of the next step."""
    presentation, length = Presentation(subject.task), subject.middle
    keys, at = seed_keys((0,), str(subject.spec), Purpose.CHECK, "cpu"), torch.zeros(1, dtype=torch.long)

    def draw(size: int) -> Inputs:
        return presentation(presentation.task.sample(size, Stream.from_keys(keys, at, 8)))

    captured = GraphedFunction(draw, CPURecorder())
    for step in range(STEPS):
        at.fill_(step)
        same = all(
            a is b or (a is not None and b is not None and torch.equal(a, b))
            for a, b in zip(captured(length), draw(length), strict=True)
        )
        expect(same, f"made again, the data of step {step} must be those of step {step}")
    return f"making its data {captured.obstacle}" if captured.obstacle else None
