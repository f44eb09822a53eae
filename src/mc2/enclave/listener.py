"""Where hosts reach an enclave. Everything is opened before the process gives up its privileges."""

from __future__ import annotations

import errno
import os
import socket
import stat
from collections.abc import Iterator
from pathlib import Path

from mc2.errors import UsageError
from mc2.formats.address import (
    Address,
    InheritedAddress,
    TcpAddress,
    UnixAddress,
    VsockAddress,
)

_OWNER_ONLY = 0o177


class Listener:
    """Gives the connections of hosts, one after the other."""

    def __init__(self, address: Address, listening: socket.socket | None, given: int = -1) -> None:
        self.address = address
        self._listening = listening
        self._given = given

    @property
    def inherited(self) -> bool:
        """Whether there is one host only, which started this process."""
        return self._listening is None

    def connections(self) -> Iterator[socket.socket]:
        """The next connection each time; ends only where there is no more than one."""
        if self._listening is None:
            yield socket.socket(fileno=self._given)
            return
        while True:
            connection, _ = self._listening.accept()
            if isinstance(self.address, TcpAddress):
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            yield connection

    def close(self) -> None:
        """Stop listening."""
        if self._listening is not None:
            self._listening.close()


def listen(address: Address) -> Listener:
    """Open an address. Raises: UsageError if it cannot be had."""
    try:
        return _listen(address)
    except OSError as error:
        raise UsageError(
            f"cannot listen at {address}: {error.strerror or type(error).__name__}",
            hint="choose another address, or stop what uses this one",
        ) from None


def _listen(address: Address) -> Listener:
    if isinstance(address, InheritedAddress):
        mode = os.fstat(address.number).st_mode
        if not stat.S_ISSOCK(mode):
            raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
        os.set_inheritable(address.number, False)
        return Listener(address, None, address.number)
    if isinstance(address, UnixAddress):
        return Listener(address, _listen_unix(Path(address.path)))
    if isinstance(address, VsockAddress):
        if not hasattr(socket, "AF_VSOCK"):
            raise OSError(errno.EAFNOSUPPORT, os.strerror(errno.EAFNOSUPPORT))
        return Listener(address, _bound(socket.AF_VSOCK, (address.context, address.port)))
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    listening = _bound(family, (address.host, address.port))
    port: int = listening.getsockname()[1]
    return Listener(TcpAddress(address.host, port), listening)


def _listen_unix(path: Path) -> socket.socket:
    if path.is_socket() and not _answers(path):
        path.unlink()  # left behind by a worker that is no more
    before = os.umask(_OWNER_ONLY)  # only this user reaches the worker
    try:
        return _bound(socket.AF_UNIX, str(path))
    finally:
        os.umask(before)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        return probe.connect_ex(str(path)) == 0


def _bound(family: socket.AddressFamily, place: str | tuple[str | int, int]) -> socket.socket:
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family in {socket.AF_INET, socket.AF_INET6}:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(place)
        listening.listen(1)
    except OSError:
        listening.close()
        raise
    return listening
