"""What the engine may use of the machine. None of it changes a result."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from typing import Final

from mc2.errors import UsageError

_LEAST_MEMORY: Final = 64 * 1024 * 1024


def _half_of_the_machine() -> int:
    return max(_LEAST_MEMORY, os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineLimits:
    """`memory_bytes` bounds DuckDB's memory; nothing is ever written to disk instead.

    Arrow tables that are read or given out, and XGBoost's own memory, come on top: so the default
    is half of the machine's. `threads` is for DuckDB and XGBoost alike; by default all processors.
    """

    memory_bytes: int = field(default_factory=_half_of_the_machine)
    threads: int = field(default_factory=lambda: os.cpu_count() or 1)

    def __post_init__(self) -> None:
        if self.memory_bytes < _LEAST_MEMORY or self.threads < 1:
            raise UsageError(f"an engine needs {_LEAST_MEMORY} bytes of memory and one thread")
