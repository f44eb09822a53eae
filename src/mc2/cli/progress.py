"""Progress of long work: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from mc2.cli.console import Console, rich_console

Tell = Callable[[str, int, int], None]

_LINE_SECONDS: Final = 5.0


@contextmanager
def progress_bar(console: Console) -> Iterator[Tell]:
    """What to call as `tell(step, done, total)`; `total` is 0 where nobody knows it."""
    if console.quiet:
        yield lambda _step, _done, _total: None
    elif sys.stderr.isatty():
        with _bars() as tell:
            yield tell
    else:
        yield _Lines(console).tell


@contextmanager
def bars_on_terminal(console: Console) -> Iterator[Tell | None]:
    """As `progress_bar`, but nothing at all where no bar can be drawn."""
    if console.quiet or not sys.stderr.isatty():
        yield None
    else:
        with _bars() as tell:
            yield tell


@contextmanager
def _bars() -> Iterator[Tell]:
    from rich.progress import Progress, TaskID

    with Progress(console=rich_console(), transient=True) as bars:
        tasks: dict[str, TaskID] = {}

        def tell(step: str, done: int, total: int) -> None:
            if step not in tasks:
                tasks[step] = bars.add_task(step, total=total or None)
            bars.update(tasks[step], completed=done, total=total or None)

        yield tell


class _Lines:
    """One line when a step begins, and then one every few seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._step = ""
        self._last = 0.0

    def tell(self, step: str, done: int, total: int) -> None:
        now = time.monotonic()
        if step == self._step and now - self._last < _LINE_SECONDS:
            return
        self._step, self._last = step, now
        self._console.step(f"{step}: {done}" + (f" of {total}" if total else ""))
