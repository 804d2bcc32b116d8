"""The part of the Ray launcher that runs on the nodes: it starts a worker process and relays its messages.

The worker is a process of its own, as on one machine, so code that crashes, hangs or is interrupted is treated alike.
Messages pass as bytes. So the relay needs neither torch nor the harness's classes in its memory.
"""

import os
from collections.abc import Iterator
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from socket import gethostname
from typing import Any

from harness.execution.processes import clean_start, start_context


class Relay:
    """A worker process on a node; one Ray actor.

    Args:
        memory_share: share of a GPU's memory that the worker may use; ``None`` on a CPU.
        code: the user's code, see :func:`harness.execution.remote_job.user_code`.
    """

    def __init__(self, memory_share: float | None, code: dict[str, Any]) -> None:
        os.environ["OMP_NUM_THREADS"] = "1"
        context = start_context(preload=[])
        self.connection, other_end = context.Pipe()
        self.process = context.Process(target=serve_worker, args=(other_end, memory_share, code))
        with clean_start():
            self.process.start()
        other_end.close()

    def messages(self) -> Iterator[Any]:
        """Yield the name of the node, then lists of messages of the worker, and its exit code at last."""
        import ray

        yield f"{gethostname()} (node {ray.get_runtime_context().get_node_id()[:6]})"
        has_ended = False
        while not has_ended:
            wait([self.connection, self.process.sentinel])
            has_ended = not self.process.is_alive()  # before the messages are read, so that none is missed
            if arrived := self._arrived():
                yield arrived
            else:
                self.process.join(0.01)  # its connection is closed
        yield self.process.exitcode

    def _arrived(self) -> list[bytes]:
        arrived = []
        with suppress(EOFError, OSError):
            while self.connection.poll():
                arrived.append(self.connection.recv_bytes())
        return arrived

    def send(self, message: bytes) -> None:
        """Send a message to the worker, unless it has ended."""
        with suppress(OSError):
            self.connection.send_bytes(message)

    def terminate(self) -> None:
        """Ask the worker to end, after a snapshot of its training."""
        self.process.terminate()

    def kill(self) -> None:
        """End the worker."""
        self.process.kill()


def serve_worker(connection: Connection, memory_share: float | None, code: dict[str, Any]) -> None:
    """Be the worker process. It imports the harness, which the relay does not."""
    from harness.execution.remote_job import serve_remote

    serve_remote(connection, memory_share, code)
