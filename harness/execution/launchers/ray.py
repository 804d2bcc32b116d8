"""The Ray launcher: worker processes on the nodes of a Ray cluster, as many as their CPUs, GPUs and memory allow.

Each worker is behind an actor (``ray_relay.py``). The driver sends it one job at a time as plain data, and repeats its
writes in the run folder, so nodes share no file system with it. Nodes can join and leave: a job that is lost with its
node is tried again elsewhere, from the last snapshot that the driver has. One actor more than fit is always asked for
while jobs wait, so that a cluster that grows on demand does.
"""

import logging
import os
import pickle
import signal
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import ray

from harness.errors import UserError
from harness.execution.gpu_slots import GPU_WORKERS
from harness.execution.job import Emit, Event, Job
from harness.execution.launchers.ray_relay import Relay
from harness.execution.pool import Pool
from harness.execution.remote_job import plain_job, user_code
from harness.execution.run_options import RunOptions, default_workers
from harness.execution.worker_process import STOP_SECONDS, NumberedJob, WorkerProcess
from harness.storage.remote_folder import Write

MEMORY = 1 << 30
"""Main memory in bytes that each worker asks Ray for. A worker on a CPU uses about half of it."""
LOOK_SECONDS = 1.0
"""Seconds after which the launcher looks for nodes that have joined."""


@contextmanager
def opened(options: RunOptions) -> Iterator["RayLauncher"]:
    """Connect to the cluster of the options, or start one on this machine, and return the launcher."""
    if (options.address or "").startswith("ray://"):
        raise UserError(
            f"--address {options.address}: a Ray client cannot stream records; start the command on a node of the "
            "cluster with --address auto"
        )
    is_mine = not ray.is_initialized()
    if is_mine:
        _connect(options)
    try:
        yield RayLauncher(options)
    finally:
        if is_mine:
            ray.shutdown()


def _connect(options: RunOptions) -> None:
    """Connect to Ray. It takes over the handling of SIGTERM, which is given back, and prints to standard output."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    vars(ray._private.worker)["_worker_logs_enabled"] = False  # the pool says what was lost
    before = signal.getsignal(signal.SIGTERM)
    local = {"num_cpus": options.workers or default_workers("cpu"), "include_dashboard": False}
    try:
        ray.init(
            address=options.address or "local",
            log_to_driver=False,
            logging_level=logging.ERROR,
            **({} if options.address else local),
        )
    except Exception as error:  # Ray raises plain exceptions where its processes do not start in time
        what = f"--address {options.address}: no cluster answers there" if options.address else "Ray does not start"
        raise UserError(f"--launcher ray: {what} ({str(error).strip().splitlines()[0]})") from None
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


class RayLauncher:
    """Runs jobs on a Ray cluster."""

    def __init__(self, options: RunOptions) -> None:
        has_gpu = any(node["Resources"].get("GPU") for node in _nodes())
        device = {"auto": "cuda" if has_gpu else "cpu"}.get(options.device, options.device)
        self.options = replace(options, device=device)

    def launch(self, jobs: Sequence[Job], emit: Emit) -> None:
        """Run all jobs."""
        if jobs:
            Pool(list(enumerate(jobs)), RayWorkers(jobs, self.options), emit, {}, self.options.timeout).run()


class RayWorkers:
    """Worker processes on the nodes of a cluster.

    Args:
        jobs: those that they will run.
        options: device, and the most workers.
    """

    def __init__(self, jobs: Sequence[Job], options: RunOptions) -> None:
        self.folder, self.code, self.most = jobs[0].folder, user_code(jobs), options.workers
        self.memory_share = 1 / GPU_WORKERS if options.device == "cuda" else None
        self.needs = {"CPU": 1.0, "memory": float(MEMORY)}
        if self.memory_share:
            self.needs["GPU"] = self.memory_share

    def size(self) -> int:
        """Return how many workers the nodes have room for, and one more to ask for."""
        room = sum(_room(node["Resources"], self.needs) for node in _nodes()) + 1
        return min(room, self.most or room)

    def start(self) -> WorkerProcess:
        """Ask Ray for a worker; it starts where there is room for it."""
        actor = ray.remote(Relay).options(
            num_cpus=self.needs["CPU"],
            num_gpus=self.needs.get("GPU", 0),
            memory=self.needs["memory"],
            max_restarts=0,
            max_concurrency=4,  # messages() runs all the time
        )
        return RayWorker(RemoteProcess(actor.remote(self.memory_share, self.code)), self.folder)

    def wait(self, workers: Sequence[WorkerProcess], seconds: float | None) -> None:
        """Wait until one of these has sent a message or has ended, at most for some seconds."""
        streams = [worker.process.stream for worker in workers if worker.process.is_alive()]
        if len(streams) == len(workers):
            ray.wait(streams, timeout=min(LOOK_SECONDS, seconds or LOOK_SECONDS))
        for worker in workers:
            worker.process.receive()


def _nodes() -> list[dict[str, Any]]:
    return [node for node in ray.nodes() if node["Alive"]]


def _room(resources: dict[str, float], needs: dict[str, float]) -> int:
    """Return how many workers with these needs a node has room for.

    >>> _room({"CPU": 8.0, "GPU": 2.0, "memory": 3e9}, {"CPU": 1.0, "GPU": 0.5, "memory": 1e9})
    3
    """
    return int(min(resources.get(name, 0.0) // need for name, need in needs.items()))


class RemoteProcess:
    """A worker process on a node and its connection, with the methods that the pool uses of local ones.

    Attributes:
        exitcode: of the process; ``None`` while it runs, and if it was lost.
        host: name of its node; empty until it has started.
        reason: why it was lost.
    """

    def __init__(self, relay: Any) -> None:
        self.relay = relay
        self.stream = relay.messages.options(num_returns="streaming").remote()
        self.arrived: deque[bytes] = deque()
        self.exitcode: int | None = None
        self.host, self.reason = "", ""

    def is_alive(self) -> bool:
        """Whether the process has not ended, as far as it is known."""
        return self.exitcode is None and not self.reason

    def receive(self) -> None:
        """Take what has arrived from the node."""
        while self.is_alive() and ray.wait([self.stream], timeout=0)[0]:
            try:
                item = ray.get(next(self.stream))
            except (StopIteration, ray.exceptions.RayError) as error:
                self.reason = (str(error).strip().splitlines() or [type(error).__name__])[-1]
                return
            if isinstance(item, str):
                self.host = item
            elif isinstance(item, int):
                self.exitcode = item
            else:
                self.arrived.extend(item)

    def poll(self) -> bool:
        """Whether a message has arrived."""
        return bool(self.arrived)

    def recv(self) -> Any:
        """Return the next message."""
        return pickle.loads(self.arrived.popleft())

    def send(self, numbered: NumberedJob | None) -> None:
        """Send a job, or ``None`` to end the process; one that has not started yet is not started."""
        if numbered is None and not self.host:
            self.close()
        else:
            message = None if numbered is None else (numbered[0], plain_job(numbered[1]))
            self.relay.send.remote(pickle.dumps(message))

    def terminate(self) -> None:
        """Ask the process to end, after a snapshot of its training."""
        if self.host:
            self.relay.terminate.remote()
        else:
            self.close()

    def kill(self) -> None:
        """End the process."""
        self.relay.kill.remote()

    def close(self) -> None:
        """Free what Ray holds for the process."""
        ray.kill(self.relay)
        self.reason = self.reason or "closed"


class RayWorker(WorkerProcess):
    """A worker process on a node, whose writes are repeated in the run folder."""

    def __init__(self, process: RemoteProcess, folder: Any) -> None:
        super().__init__(process, process)
        self.folder = folder

    def messages(self) -> list[Any]:
        """Return the messages that have arrived, other than writes."""
        self.host = self.process.host
        messages = super().messages()
        return [other for other in map(self._repeated, messages) if other is not None]

    def _repeated(self, message: Any) -> Any:
        """Repeat a write; return any other message, or a note if a snapshot cannot be written."""
        if not isinstance(message, Write):
            return message
        self.has_progressed |= message.kind == "snapshot"
        try:
            message.repeat_in(self.folder)
        except OSError as error:  # records raise a StorageError
            return Event(self.job[0] if self.job else 0, "note", text=f"a snapshot cannot be written: {error.strerror}")
        return None

    def stop(self) -> None:
        """End the process, after it has sent a last snapshot, and free what belongs to it."""
        self.interrupt()
        until = time.monotonic() + STOP_SECONDS
        while self.process.is_alive() and time.monotonic() < until:
            ray.wait([self.process.stream], timeout=0.1)
            self.process.receive()
            self.messages()
        self.process.close()

    @property
    def end_text(self) -> str:
        """How the process has ended, and on which node."""
        return super().end_text if self.process.exitcode is not None else f"lost: {self.process.reason}"
