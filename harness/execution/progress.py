"""Progress: bars with the time left on a terminal, a line a cell elsewhere."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.execution.job import Event, Job


class Display:
    """Shows events; a context manager around a launch. Counts the cells that ``failed``."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.jobs, self.console = jobs, console
        self.cells = sum(len(job.cells) for job in jobs)
        self.finished, self.failed = 0, 0
        self.began: float | None = None
        self.shares = [0.0] * len(jobs)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self.live = console.is_terminal
        self.bars = Progress(
            *columns, TimeElapsedColumn(), TextColumn("{task.fields[left]}"), console=console, transient=True
        )
        self.whole: TaskID | None = None
        self.running: dict[int, TaskID] = {}

    def __enter__(self) -> "Display":
        if self.live and self.jobs:
            self.bars.start()
            self.whole = self.bars.add_task(f"[bold]{self.cells} cells", total=self.cells, left="")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.live:
            self.bars.stop()

    def show(self, event: Event) -> None:
        """Take one event from a worker; time counts from the first, not from the start of the processes."""
        self.began = self.began or time.monotonic()
        if event.kind == "progress":
            self.shares[event.job] = event.progress * len(self.jobs[event.job].cells)
            self._show_share(event)
            return
        if event.kind == "note":
            self._say(event.text)
            return
        self.finished += 1
        self.failed += event.kind == "failed"
        self._say(f"[{self.finished}/{self.cells}] {'FAILED ' if event.kind == 'failed' else ''}{event.text}")
        self._close(event.job)

    def _say(self, line: str) -> None:
        self.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def _show_share(self, event: Event) -> None:
        if self.whole is None:
            return
        if event.job not in self.running:
            self.running[event.job] = self.bars.add_task("", total=1.0, left="")
        text = str(self.jobs[event.job])
        self.bars.update(self.running[event.job], completed=event.progress, description=text[:56], left=event.text)
        self._advance()

    def _close(self, job: int) -> None:
        self.shares[job] = float(len(self.jobs[job].cells))
        if job in self.running:
            self.bars.remove_task(self.running.pop(job))
        self._advance()

    def _advance(self) -> None:
        if self.whole is not None and self.began is not None:
            done = sum(self.shares)
            spent = time.monotonic() - self.began
            left = f"about {duration(spent / done * (self.cells - done))} left" if done > 0.05 else ""
            self.bars.update(self.whole, completed=done, left=left)


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
