"""Which process is the executor, and whether it still is. Linux alone, as enclaves are."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

_TICK_SECONDS: Final = 0.5
_GENERATIONS: Final = 8


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

    Raises: OSError.
    """
    parent = number = os.getppid()
    for _ in range(_GENERATIONS):
        if number <= 1:
            break
        if Path(f"/proc/{number}/comm").read_text().strip() == "java":
            return ProcessWatch.of(number)
        number = int(_fields(number)[1])
    return ProcessWatch.of(parent)


def _fields(number: int) -> list[str]:
    """What stands in /proc/N/stat after the name, which may hold anything: the state is first."""
    text = Path(f"/proc/{number}/stat").read_text()
    return text.rpartition(")")[2].split()
