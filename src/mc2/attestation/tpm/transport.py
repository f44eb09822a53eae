"""How commands reach a TPM: the kernel's device, or the socket of a software TPM."""

from __future__ import annotations

import os
import socket
from pathlib import Path
from types import TracebackType
from typing import Final, Protocol, Self

from mc2.errors import AttestationError

RESPONSE_BYTES: Final = 4096
"""The largest response of a TPM (TPM2_PT_MAX_RESPONSE_SIZE of all known ones)."""

_HEADER: Final = 10
_TIMEOUT_SECONDS: Final = 60.0  # a hardware TPM takes up to half a minute to make an RSA key


class Transport(Protocol):
    """Sends one command and gets its response, both whole."""

    def transmit(self, command: bytes) -> bytes:
        """Send a command; its response. Raises: AttestationError."""
        ...

    def close(self) -> None:
        """Let go of the TPM."""
        ...


class DeviceTransport:
    """A TPM behind a character device. `/dev/tpmrm0` swaps key slots by itself; prefer it."""

    def __init__(self, path: Path) -> None:
        try:
            self._file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        except OSError as error:
            raise AttestationError(
                f"the TPM at {path} does not open: {error.strerror}",
                hint="the enclave's user must be in the group that owns /dev/tpmrm0 (tss)",
            ) from None

    def transmit(self, command: bytes) -> bytes:
        """Send a command; its response. Raises: AttestationError."""
        try:
            # The driver takes a command in one write and gives its response in one read.
            if os.write(self._file, command) != len(command):
                raise AttestationError("the TPM's driver took only a part of a command")
            return os.read(self._file, RESPONSE_BYTES)
        except OSError as error:
            raise AttestationError(f"the TPM does not answer: {error.strerror}") from None

    def close(self) -> None:
        """Close the device; the resource manager flushes what was left in it."""
        os.close(self._file)


class SocketTransport:
    """A software TPM's data socket (`swtpm socket --server`), over Unix or TCP on this machine."""

    def __init__(self, address: Path | tuple[str, int]) -> None:
        family = socket.AF_UNIX if isinstance(address, Path) else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
        self._socket.settimeout(_TIMEOUT_SECONDS)
        try:
            self._socket.connect(str(address) if isinstance(address, Path) else address)
        except OSError as error:
            self._socket.close()
            raise AttestationError(
                f"no software TPM listens at {address}: {error.strerror or error}",
                hint="start swtpm first; it takes one connection at a time",
            ) from None

    def transmit(self, command: bytes) -> bytes:
        """Send a command; its response. Raises: AttestationError."""
        try:
            self._socket.sendall(command)
            header = self._receive(_HEADER)
            size = int.from_bytes(header[2:6], "big")
            if not _HEADER <= size <= RESPONSE_BYTES:
                raise AttestationError("the software TPM answered with an impossible length")
            return header + self._receive(size - _HEADER)
        except OSError as error:
            raise AttestationError(f"the software TPM does not answer: {error}") from None

    def _receive(self, size: int) -> bytes:
        parts = bytearray()
        while len(parts) < size:
            part = self._socket.recv(size - len(parts))
            if not part:
                raise AttestationError("the software TPM closed the connection")
            parts += part
        return bytes(parts)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
