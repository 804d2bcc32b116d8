"""The local launcher: worker processes on this machine, one for each CPU core or two for a GPU.

While one worker of a GPU builds models, captures steps or writes records, the other one trains. Each worker has one
thread, because two OpenMP threads on a busy pair of cores are several times slower than one.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import wait

import torch

from harness.execution.gpu_slots import Slot, gpu_slots
from harness.execution.job import Emit, Job
from harness.execution.pool import Pool
from harness.execution.run_options import RunOptions
from harness.execution.run_status import runs_user_code
from harness.execution.worker import run_job
from harness.execution.worker_process import WorkerProcess


@contextmanager
def opened(options: RunOptions) -> Iterator["LocalLauncher"]:
    """Return the launcher."""
    yield LocalLauncher(options.resolved())


class LocalLauncher:
    """Runs jobs on this machine."""

    def __init__(self, options: RunOptions) -> None:
        self.options = options

    def launch(self, jobs: Sequence[Job], emit: Emit) -> None:
        """Run all jobs; those whose worker has died come last, without other workers.

        One worker is this process itself, unless it runs the user's code, which could end it, or may have to be ended.
        """
        timeout, slots = self.options.timeout, self._slots() if jobs else []
        size = min(len(slots), len(jobs))
        is_here = size <= 1 and timeout is None and all(slot is None or slot.device == 0 for slot in slots[:1])
        if is_here and not any(runs_user_code(job.cells[0]) for job in jobs):
            torch.set_num_threads(1)
            for number, job in enumerate(jobs):
                run_job(job, number, emit)
            return
        remaining, deaths = list(enumerate(jobs)), dict[str, list[str]]()
        while remaining:
            remaining = Pool(remaining, LocalWorkers(slots[:size]), emit, deaths, timeout).run()
            size = 1  # a worker can die because others used up the memory

    def _slots(self) -> Sequence[Slot | None]:
        """Return the slot of each worker, ``None`` on a CPU."""
        is_gpu = self.options.device.startswith("cuda")
        return gpu_slots(self.options.workers) if is_gpu else [None] * self.options.worker_count


class LocalWorkers:
    """Worker processes of this machine, one for each slot."""

    def __init__(self, slots: Sequence[Slot | None]) -> None:
        self.slots = slots
        self.taken: list[tuple[Slot | None, WorkerProcess]] = []

    def size(self) -> int:
        """Return the number of slots."""
        return len(self.slots)

    def start(self) -> WorkerProcess:
        """Start a process in the first free slot."""
        self.taken = [(slot, worker) for slot, worker in self.taken if worker.process.is_alive()]
        free = list(self.slots)
        for slot, _ in self.taken:
            if slot in free:
                free.remove(slot)
        slot = (free or self.slots)[0]
        worker = WorkerProcess.start(slot)
        self.taken.append((slot, worker))
        return worker

    def wait(self, workers: Sequence[WorkerProcess], seconds: float | None) -> None:
        """Wait until one of these has sent a message or has ended, at most for some seconds."""
        connections = [worker.connection for worker in workers if not worker.is_stopping]
        wait([*connections, *(worker.process.sentinel for worker in workers)], seconds)
