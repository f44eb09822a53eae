"""What a collector needs of the machine it runs on: a few files, folders and devices.

Collectors name paths as a running system has them; `LocalMachine` looks them up below a root
folder. Tests hand in a machine of their own, which answers as the kernel would.
"""

from __future__ import annotations

import errno
import fcntl
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, Literal, Protocol, TypeVar

from mc2.attestation.claims import Collector
from mc2.errors import AttestationError

REPORT_DATA_BYTES: Final = 64
"""What evidence commits to: a SHA-512, which fills the field of every vendor."""

Access = Literal["read", "write", "both"]

_FLAGS: Final = {"read": os.O_RDONLY, "write": os.O_WRONLY, "both": os.O_RDWR}
_PART: Final = 4096
_TRIES: Final = 8
_FIRST_PAUSE_SECONDS: Final = 0.05  # then twice as long each time: 6 seconds in all
_PASSING: Final = frozenset({errno.EBUSY, errno.EAGAIN, errno.EINTR})
_REFUSED: Final = frozenset({errno.EACCES, errno.EPERM})

T = TypeVar("T")


class OpenFile(Protocol):
    """An open file or device. Every method raises OSError."""

    def read(self, size: int) -> bytes:
        """At most `size` bytes; fewer do not mean the end, none do."""
        ...

    def write(self, raw: bytes) -> int:
        """Write some of `raw`; how much."""
        ...

    def ioctl(self, request: int, argument: bytearray) -> None:
        """Send a request; `argument` is changed in place, even where it fails."""
        ...

    def close(self) -> None:
        """Close it. Some kernel files take what was written only now."""
        ...


class Machine(Protocol):
    """The files of a machine. Every method but the last two raises OSError."""

    def open(self, path: str, access: Access) -> OpenFile:
        """Open what exists; nothing is created or emptied."""
        ...

    def make_folder(self, path: str) -> None:
        """Make a folder that must be new."""
        ...

    def remove_folder(self, path: str) -> None:
        """Remove a folder; the kernel's go with the files in them."""
        ...

    def exists(self, path: str) -> bool:
        """Whether there is such a file, device or folder."""
        ...

    def pause(self, seconds: float) -> None:
        """Wait."""
        ...


class HardwareCollector(Collector, Protocol):
    """A collector that can say what it misses."""

    source: str
    """Where it gets evidence from, in a few words for people."""

    def why_not(self) -> str:
        """What this machine lacks, in words; empty if evidence can be had."""
        ...


class LocalFile:
    """A file or device of the running kernel."""

    def __init__(self, path: Path, access: Access) -> None:
        self._descriptor = os.open(path, _FLAGS[access] | os.O_CLOEXEC)

    def read(self, size: int) -> bytes:
        """At most `size` bytes."""
        return os.read(self._descriptor, size)

    def write(self, raw: bytes) -> int:
        """Write some of `raw`; how much."""
        return os.write(self._descriptor, raw)

    def ioctl(self, request: int, argument: bytearray) -> None:
        """Send a request; `argument` is changed in place."""
        fcntl.ioctl(self._descriptor, request, argument, True)

    def close(self) -> None:
        """Close it."""
        os.close(self._descriptor)


class LocalMachine:
    """The machine that this process runs on, below `root`."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    def open(self, path: str, access: Access) -> OpenFile:
        """Open what exists."""
        return LocalFile(self._at(path), access)

    def make_folder(self, path: str) -> None:
        """Make a folder that must be new."""
        self._at(path).mkdir(mode=0o700)

    def remove_folder(self, path: str) -> None:
        """Remove a folder."""
        self._at(path).rmdir()

    def exists(self, path: str) -> bool:
        """Whether there is such a file, device or folder."""
        return self._at(path).exists()

    def pause(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    def _at(self, path: str) -> Path:
        return self._root / path.removeprefix("/")


def check_report_data(report_data: bytes) -> None:
    """Refuse anything but 64 bytes. Raises: AttestationError."""
    if len(report_data) != REPORT_DATA_BYTES:
        raise AttestationError(f"report data have {REPORT_DATA_BYTES} bytes")


def check_is_about(found: bytes, report_data: bytes, what: str) -> None:
    """Refuse evidence over other bytes than those asked for. Raises: AttestationError."""
    if found != report_data:
        raise AttestationError(
            f"{what} is about other data than it was asked for",
            hint="another process may use the device at the same time; propose the job again",
        )


def patiently(machine: Machine, what: str, action: Callable[[], T]) -> T:
    """Do something that the kernel may be too busy for; a few seconds at most.

    Raises: AttestationError.
    """
    for attempt in range(_TRIES):
        if attempt:
            machine.pause(_FIRST_PAUSE_SECONDS * 2 ** (attempt - 1))
        try:
            return action()
        except OSError as error:
            if error.errno not in _PASSING:
                raise AttestationError(f"{what}: {reason(error)}", hint=_hint(error)) from None
    raise AttestationError(
        f"{what}: still busy after {_TRIES} attempts",
        hint="propose the job again; if it stays busy, look into the kernel's log",
    )


def read_file(machine: Machine, path: str, most: int) -> bytes:
    """All of a file, which may come in parts. Raises: AttestationError, also beyond `most`."""
    raw = patiently(machine, f"{path} cannot be read", lambda: _read(machine, path, most))
    if len(raw) > most:
        raise AttestationError(f"{path} gave more than {most} bytes")
    return raw


def write_file(machine: Machine, path: str, raw: bytes) -> None:
    """Write to a file that exists. Raises: AttestationError."""
    patiently(machine, f"{path} cannot be written", lambda: _write(machine, path, raw))


def reason(error: OSError) -> str:
    """Why something failed, in the system's words."""
    return error.strerror or type(error).__name__


def _read(machine: Machine, path: str, most: int) -> bytes:
    file = machine.open(path, "read")
    try:
        found = bytearray()
        while len(found) <= most and (part := file.read(min(_PART, most + 1 - len(found)))):
            found += part
        return bytes(found)
    finally:
        file.close()


def _write(machine: Machine, path: str, raw: bytes) -> None:
    file = machine.open(path, "write")
    try:
        written = 0
        while written < len(raw):
            taken = file.write(raw[written:])
            if taken < 1:
                raise OSError(errno.EIO, os.strerror(errno.EIO))
            written += taken
    finally:
        file.close()


def _hint(error: OSError) -> str:
    if error.errno in _REFUSED:
        return "start the worker as root; it keeps no privileges once it serves"
    return "the kernel's log may say more: dmesg"
