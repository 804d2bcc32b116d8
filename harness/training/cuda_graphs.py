"""A training step as one program on a GPU: all of its kernels are launched by a single call.

Models of this size spend their time on launching kernels, hundreds of them a step, and little of it inside them. A
CUDA graph holds the launches of one length, and a replay does them all. All lengths share one pool of memory: no two
graphs ever run at once, and what outlives a step lies outside.

What is captured may depend on its length and on memory, and on nothing else that Python knows; and it may not wait for
the device. Whether it waits is found out, not declared: torch is told to raise where it would wait.
"""

import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any, Protocol

import torch
from torch import Tensor

Inputs = tuple[Tensor | None, ...]

WARM_UP = 3
"""Calls of a length before it is only replayed: the first is plain, the second watched, the third captured."""

SYNC_ERROR = "synchronizing CUDA operation"
"""What torch says of an operation that waits for the device, where it is told to raise."""


class CaptureError(RuntimeError):
    """A call that cannot be captured, although it does not wait for the device."""


@dataclass(frozen=True)
class Graph:
    """A captured call; its inputs and outputs are the memory that every replay reads and writes."""

    replay: Callable[[], None]
    inputs: Inputs
    outputs: Any

    def __call__(self, *inputs: Tensor | None) -> Any:
        """Replay with other inputs of the same shapes."""
        for kept, given in zip(self.inputs, inputs, strict=True):
            if kept is not None and given is not None and kept is not given:
                kept.copy_(given)
        self.replay()
        return self.outputs


class GraphRecorder(Protocol):
    """Where calls are recorded."""

    def on_stream(self) -> AbstractContextManager[None]:
        """Work on the lane in here, after all work before and before all work after."""
        ...

    def sync_forbidden(self) -> AbstractContextManager[None]:
        """Raise where torch would wait for the device."""
        ...

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Capture a call without running it; the inputs become the graph's own memory."""
        ...


class CUDARecorder:
    """A lane of a GPU: a stream of its own, and the pool of memory that its graphs share."""

    def __init__(self, device: torch.device) -> None:
        self.stream = _stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """Work on the lane's stream in here."""
        here = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(here)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            here.wait_stream(self.stream)

    @contextmanager
    def sync_forbidden(self) -> Iterator[None]:
        """Raise where torch would wait for the device."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
            try:
                torch.cuda.set_sync_debug_mode("error")
                yield
            finally:
                torch.cuda.set_sync_debug_mode(before)

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Capture a call as a CUDA graph; where memory runs out, that is what it raises."""
        here, graph, first = torch.cuda.current_stream(self.stream.device), torch.cuda.CUDAGraph(), None
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                try:
                    outputs = call(*inputs)
                except Exception as error:
                    first = error  # the end of a capture that broke raises another
                    raise
        except Exception as error:
            torch.cuda.set_stream(here)
            if isinstance(first, torch.OutOfMemoryError):
                raise first from error
            raise CaptureError(str(first or error)) from error
        return Graph(graph.replay, inputs, outputs)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return a process's one stream for captures: libraries keep memory for every stream they have seen."""
    return torch.cuda.Stream(device)


class GraphedFunction:
    """A function of a length and of tensors, replayed once it has been captured at that length.

    A length's first call is plain (kernels are compiled and tuned in it), its second is watched, its third is captured.

    Attributes:
        obstacle: why it is not captured after all, one line; empty while nothing is known against it.
    """

    def __init__(self, function: Callable[..., Any], lane: GraphRecorder) -> None:
        self.function, self.lane, self.obstacle = function, lane, ""
        self.calls: dict[int, int] = {}
        self.graphs: dict[int, Graph] = {}

    def __call__(self, length: int, *inputs: Tensor | None) -> Any:
        """Call the function; what it returns may be overwritten by the next call at this length."""
        if self.obstacle:
            return self.function(length, *inputs)
        if length not in self.graphs and self.calls.get(length, 0) == WARM_UP - 1:
            self.graphs[length] = self.lane.record(lambda *given: self.function(length, *given), *inputs)
        if length in self.graphs:
            return self.graphs[length](*inputs)
        self.calls[length] = self.calls.get(length, 0) + 1
        with self.lane.on_stream():
            return self._warm(length, *inputs)

    def __str__(self) -> str:
        return f"launched one by one: {self.obstacle}" if self.obstacle else "CUDA graph"

    def _warm(self, length: int, *inputs: Tensor | None) -> Any:
        if self.calls[length] == 1:
            return self.function(length, *inputs)
        try:
            with self.lane.sync_forbidden():
                return self.function(length, *inputs)
        except RuntimeError as error:
            if SYNC_ERROR not in str(error):
                raise
            self.obstacle = "waits for the device"
            return self.function(length, *inputs)
