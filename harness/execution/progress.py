"""Progress display: bars with the remaining time on a terminal, otherwise one line for each finished cell."""

import time
from collections.abc import Sequence
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from harness.encoding import encodable
from harness.execution.job import Event, Job


class Display:
    """Shows the events of a launch, as a context manager around it, and counts ``finished`` and ``failed`` cells."""

    def __init__(self, jobs: Sequence[Job], console: Console) -> None:
        self.jobs, self.console = jobs, console
        self.cells = sum(len(job.cells) for job in jobs)
        self.finished, self.failed = 0, 0
        self.start: float | None = None
        self.shares = [0.0] * len(jobs)
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:>3.0f}%"))
        self.is_live = console.is_terminal
        self.bars = Progress(
            *columns, TimeElapsedColumn(), TextColumn("{task.fields[left]}"), console=console, transient=True
        )
        self.total: TaskID | None = None
        self.running: dict[int, TaskID] = {}

    def __enter__(self) -> "Display":
        if self.is_live and self.jobs:
            self.bars.start()
            self.total = self.bars.add_task(
                f"[bold]{self.cells} cell{'s' if self.cells != 1 else ''}", total=self.cells, left=""
            )
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.is_live:
            self.bars.stop()

    def show(self, event: Event) -> None:
        """Show one event of a worker. Time is measured from the first event on, without the start of the processes."""
        self.start = self.start or time.monotonic()
        if event.kind == "progress":
            self.shares[event.job] = event.progress * len(self.jobs[event.job].cells)
            self._show_share(event)
            return
        if event.kind == "note":
            self._print(event.text)
            return
        self.finished += 1
        self.failed += event.kind == "failed"
        self._print(f"[{self.finished}/{self.cells}] {'FAILED ' if event.kind == 'failed' else ''}{event.text}")
        self._finish_job(event.job)

    def _print(self, line: str) -> None:
        self.console.print(encodable(line, self.console.encoding), markup=False, highlight=False, soft_wrap=True)

    def _show_share(self, event: Event) -> None:
        if self.total is None:
            return
        if event.job not in self.running:
            self.running[event.job] = self.bars.add_task("", total=1.0, left="")
        text = encodable(str(self.jobs[event.job]), self.console.encoding)
        self.bars.update(self.running[event.job], completed=event.progress, description=text[:56], left=event.text)
        self._advance()

    def _finish_job(self, job: int) -> None:
        self.shares[job] = float(len(self.jobs[job].cells))
        if job in self.running:
            self.bars.remove_task(self.running.pop(job))
        self._advance()

    def _advance(self) -> None:
        if self.total is not None and self.start is not None:
            done = sum(self.shares)
            elapsed = time.monotonic() - self.start
            left = f"about {duration(elapsed / done * (self.cells - done))} left" if done > 0.05 else ""
            self.bars.update(self.total, completed=done, left=left)


def duration(seconds: float) -> str:
    """Return seconds in hours, minutes and seconds."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"
