"""A character device that gives evidence: whether it is there, and a use of it from open to close.

The collectors of /dev/sev-guest and /dev/nsm differ in what they say to it alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mc2.attestation.collect.machine import Machine, OpenFile, patiently
from mc2.errors import AttestationError


class Device:
    """One device of a machine, by its path."""

    def __init__(self, machine: Machine, path: str) -> None:
        self.machine = machine
        self._path = path

    def why_not(self) -> str:
        """What is missing, in words; empty if the device is there and opens."""
        if not self.machine.exists(self._path):
            return f"{self._path} does not exist"
        try:
            with self.opened():
                return ""
        except AttestationError as error:
            return str(error)

    @contextmanager
    def opened(self) -> Iterator[OpenFile]:
        """The device, open to read and to write for a block. Raises: AttestationError."""
        file = patiently(
            self.machine,
            f"{self._path} does not open",
            lambda: self.machine.open(self._path, "both"),
        )
        try:
            yield file
        finally:
            file.close()
