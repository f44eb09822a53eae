"""Which process is the executor, and whether it still is. Linux alone, as enclaves are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from mc2.errors import WorkerError

_TICK_SECONDS: Final = 0.5
_GENERATIONS: Final = 8
_FIRST_PROCESS: Final = 1


@dataclass(frozen=True, slots=True)
class ProcessWatch:
    """A process by its number and the moment it began: numbers are used again."""

    number: int
    began: str

    @classmethod
    def of(cls, number: int) -> Self:
        """A process that runs. Raises: OSError."""
        return cls(number, _fields(number)[19])

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        try:
            found = _fields(self.number)
        except OSError:
            return False
        return found[19] == self.began and found[0] != "Z"

    def wait(self) -> None:
        """Return when it has ended."""
        while self.alive:
            time.sleep(_TICK_SECONDS)


def executor_of_this_task() -> ProcessWatch:
    """The JVM above a Python worker of Spark; its parent if there is none.

    Spark's Python workers outlive the daemon that forked them, and Spark goes on using them. Such a
    one belongs to the system's first process, and what it started would never end.

    Raises: OSError; WorkerError in a worker whose daemon has died. Spark drops it then.
    """
    parent = number = os.getppid()
    for _ in range(_GENERATIONS):
        if number < _FIRST_PROCESS:
            break
        if _name(number) == "java":
            return ProcessWatch.of(number)
        number = int(_fields(number)[1])
    if parent == _FIRST_PROCESS or _name(parent) == "systemd":
        raise WorkerError(
            "the daemon of this executor's Python workers has died",
            hint="Spark tries the task again in a new worker",
        )
    return ProcessWatch.of(parent)


def _name(number: int) -> str:
    return Path(f"/proc/{number}/comm").read_text().strip()


def _fields(number: int) -> list[str]:
    """What stands in /proc/N/stat after the name, which may hold anything: the state is first."""
    text = Path(f"/proc/{number}/stat").read_text()
    return text.rpartition(")")[2].split()
