"""Progress on stderr, for a person at a terminal and only when the work takes longer than a second."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

PATIENCE_SECONDS = 1.0
Advance = Callable[[int, int], None]
"""Called with the steps done and the steps in all."""


class _Line:
    """One line that appears when patience ends and vanishes with the work."""

    def __init__(self, description: str) -> None:
        self._description = description
        self._lock = threading.Lock()
        self._done, self._total = 0, 0
        self._shown: tuple[Progress, TaskID] | None = None
        self._ended = False
        self._timer = threading.Timer(PATIENCE_SECONDS, self._show)
        self._timer.daemon = True
        self._timer.start()

    def _show(self) -> None:
        from rich.console import Console  # rich takes a tenth of a second to import
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        with self._lock:
            if self._ended:
                return
            columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
            progress = Progress(
                *columns,
                console=Console(stderr=True),
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            task = progress.add_task(self._description, total=self._total or None, completed=self._done)
            progress.start()
            self._shown = progress, task

    def advance(self, done: int, total: int) -> None:
        with self._lock:
            self._done, self._total = done, total
            if self._shown:
                progress, task = self._shown
                progress.update(task, completed=done, total=total or None)

    def end(self) -> None:
        self._timer.cancel()
        with self._lock:
            self._ended = True
            if self._shown:
                self._shown[0].stop()


@contextmanager
def stage(description: str) -> Iterator[Advance]:
    """Show that something is going on; yields a function that takes (steps done, steps in all)."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    line = _Line(description)
    try:
        yield line.advance
    finally:
        line.end()
