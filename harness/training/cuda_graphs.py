"""CUDA graphs for training steps: one call launches all kernels of a step.

Small models spend most of a step on launching hundreds of kernels and little time inside them. A CUDA graph holds the
launches for one length, and a replay repeats all of them. Graphs of all lengths share one memory pool, because no two
of them run at the same time. Tensors that outlive a step lie outside the pool.

A captured function may depend only on its length and on tensors, not on other Python state. It must not wait for the
device; to detect this, torch is told to raise an error where it would wait.
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
"""Calls at a length before it is only replayed: one plain, one checked for waiting, one captured."""

SYNC_ERROR = "synchronizing CUDA operation"
"""Part of torch's error message for an operation that waits for the device."""


class CaptureError(RuntimeError):
    """A call does not wait for the device and still cannot be captured."""


@dataclass(frozen=True)
class Graph:
    """A captured call. Each replay reads from its ``inputs`` and writes to its ``outputs``."""

    replay: Callable[[], None]
    inputs: Inputs
    outputs: Any

    def __call__(self, *inputs: Tensor | None) -> Any:
        """Replay the call on inputs of the same shapes."""
        for buffer, value in zip(self.inputs, inputs, strict=True):
            if buffer is not None and value is not None and buffer is not value:
                buffer.copy_(value)
        self.replay()
        return self.outputs


class GraphRecorder(Protocol):
    """Captures calls so that they can be replayed."""

    def on_stream(self) -> AbstractContextManager[None]:
        """Run the work of this context in order with the work before and after it."""
        ...

    def sync_forbidden(self) -> AbstractContextManager[None]:
        """Make torch raise an error where it would wait for the device."""
        ...

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Capture a call without running it; the inputs become the buffers that replays read."""
        ...


class CUDARecorder:
    """Captures calls as CUDA graphs, on a separate stream and with one memory pool for all graphs."""

    def __init__(self, device: torch.device) -> None:
        self.stream = _stream(device)
        self.pool = torch.cuda.graph_pool_handle()

    @contextmanager
    def on_stream(self) -> Iterator[None]:
        """Run the work of this context on the capture stream."""
        current = torch.cuda.current_stream(self.stream.device)
        self.stream.wait_stream(current)
        try:
            with torch.cuda.stream(self.stream):
                yield
        finally:
            current.wait_stream(self.stream)

    @contextmanager
    def sync_forbidden(self) -> Iterator[None]:
        """Make torch raise an error where it would wait for the device."""
        before = torch.cuda.get_sync_debug_mode()
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Synchronization debug mode is a prototype")
            try:
                torch.cuda.set_sync_debug_mode("error")
                yield
            finally:
                torch.cuda.set_sync_debug_mode(before)

    def record(self, call: Callable[..., Any], *inputs: Tensor | None) -> Graph:
        """Capture a call as a CUDA graph.

        Raises:
            torch.OutOfMemoryError: the memory of the device is not sufficient.
            CaptureError: the call cannot be captured for any other reason.
        """
        current, graph, cause = torch.cuda.current_stream(self.stream.device), torch.cuda.CUDAGraph(), None
        try:
            with torch.cuda.graph(graph, pool=self.pool, stream=self.stream):
                # The kernels are recorded here and not run.
                try:
                    outputs = call(*inputs)
                except Exception as error:
                    cause = error  # leaving a broken capture raises another error, which hides this one
                    raise
        except Exception as error:
            # A broken capture leaves its stream as the current one.
            torch.cuda.set_stream(current)
            # Out of memory stays the same error, so that the worker halves the group.
            if isinstance(cause, torch.OutOfMemoryError):
                raise cause from error
            raise CaptureError(str(cause or error)) from error
        return Graph(graph.replay, inputs, outputs)


@cache
def _stream(device: torch.device) -> torch.cuda.Stream:
    """Return the capture stream of this process. There is only one, because libraries keep memory for each stream."""
    return torch.cuda.Stream(device)


class GraphedFunction:
    """A function of a length and of tensors, replayed at each length at which it has been captured.

    The first call at a length is plain; kernels are compiled and tuned in it. In the second call torch raises an error
    if it would wait for the device. The third call is captured.

    Attributes:
        reason: why the function is not captured, in one line; empty if it is captured.
    """

    def __init__(self, function: Callable[..., Any], recorder: GraphRecorder) -> None:
        self.function, self.recorder, self.reason = function, recorder, ""
        self.calls: dict[int, int] = {}
        self.graphs: dict[int, Graph] = {}

    def __call__(self, length: int, *inputs: Tensor | None) -> Any:
        """Call the function. The next call at this length may overwrite its result."""
        if self.reason:
            return self.function(length, *inputs)
        if length not in self.graphs and self.calls.get(length, 0) == WARM_UP - 1:
            self.graphs[length] = self.recorder.record(lambda *tensors: self.function(length, *tensors), *inputs)
        if length in self.graphs:
            return self.graphs[length](*inputs)
        self.calls[length] = self.calls.get(length, 0) + 1
        with self.recorder.on_stream():
            return self._warm_up(length, *inputs)

    def __str__(self) -> str:
        return f"launched one by one: {self.reason}" if self.reason else "CUDA graph"

    def _warm_up(self, length: int, *inputs: Tensor | None) -> Any:
        """Call the function before it is captured; set ``reason`` if it waits for the device."""
        if self.calls[length] == 1:
            return self.function(length, *inputs)
        try:
            with self.recorder.sync_forbidden():
                return self.function(length, *inputs)
        except RuntimeError as error:
            if SYNC_ERROR not in str(error):
                raise
            self.reason = "waits for the device"
            return self.function(length, *inputs)
