"""What a process can do, before it knows any secret, to keep its memory to itself.

`mc2.confine` takes away what it could do to others; this is about what others could take from it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final, TextIO

_PR_SET_DUMPABLE: Final = 4
_MCL_CURRENT: Final = 1
_MCL_FUTURE: Final = 2
_MCL_ONFAULT: Final = 4
_CAP_IPC_LOCK: Final = 1 << 14


def keep_memory_private() -> tuple[str, ...]:
    """No core dumps, no debuggers, and where the system lets us, no swapping; what is in force."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    said = ["no core dumps"]
    if not sys.platform.startswith("linux"):
        return tuple(said)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) == 0:
        said.append("memory is closed to debuggers of the same user")
    if _lock_memory(libc):
        said.append("memory is never swapped to disk")
    return tuple(said)


def _lock_memory(libc: ctypes.CDLL) -> bool:
    """Lock all pages as they come into use.

    Only where no limit stands against it: with one, a later allocation would fail in mid-job.
    """
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    if resource.getrlimit(resource.RLIMIT_MEMLOCK) != unlimited:
        if not _may_lock():
            return False
        # The privilege goes with confinement; the limit is what holds afterwards.
        try:
            resource.setrlimit(resource.RLIMIT_MEMLOCK, unlimited)
        except (OSError, ValueError):
            return False
    flags = _MCL_CURRENT | _MCL_FUTURE | _MCL_ONFAULT
    return bool(libc.mlockall(flags) == 0)


def _may_lock() -> bool:
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except (OSError, ValueError):
        return False
    effective = next((s for s in status.splitlines() if s.startswith("CapEff:")), "CapEff: 0")
    return bool(int(effective.split()[1], 16) & _CAP_IPC_LOCK)


def keep_outputs() -> Callable[[str], None]:
    """Close the standard outputs to everything but the function that this gives.

    Engines print warnings, interpreters print tracebacks, and either may quote data; the host
    reads both. What our own code writes through the function says nothing but codes.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    own: TextIO = os.fdopen(os.dup(2), "w", buffering=1, encoding="utf-8", errors="replace")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(nowhere, standard)
    os.close(nowhere)

    def write(line: str) -> None:
        own.write(line + "\n")

    return write
