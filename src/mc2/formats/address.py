"""Where an enclave and its host meet: `unix:/path`, `tcp:host:port`, `vsock:cid:port`, `fd:number`.

Both sides read addresses here and open sockets themselves. `fd` is a connected stream socket that
a host handed to the process it started; the enclave serves it and ends with it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, TypeAlias

from mc2.errors import UsageError

_HOST: Final = re.compile(r"(?:[A-Za-z0-9.-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])\Z")
_PATH_LENGTH: Final = 107  # sockaddr_un, less the zero byte
_LARGEST_PORT: Final = 65535
_LARGEST_U32: Final = 2**32 - 1
VSOCK_ANY: Final = _LARGEST_U32
"""The vsock context id that means "this machine, whatever its id"; written `vsock:any:port`."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port. Port 0 lets a listener choose."""

    host: str
    port: int

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class VsockAddress:
    """A port between a virtual machine and its host."""

    context: int
    port: int

    def __str__(self) -> str:
        return f"vsock:{'any' if self.context == VSOCK_ANY else self.context}:{self.port}"


@dataclass(frozen=True, slots=True)
class InheritedAddress:
    """A connected socket that the process was started with."""

    number: int

    def __str__(self) -> str:
        return f"fd:{self.number}"


Address: TypeAlias = UnixAddress | TcpAddress | VsockAddress | InheritedAddress


def parse_address(text: str) -> Address:
    """Read an address as people write it. Raises: UsageError."""
    kind, _, rest = text.partition(":")
    found = _READERS[kind](rest) if kind in _READERS else None
    if found is None:
        raise UsageError(
            f"{text!r} is not the address of a worker",
            hint="write unix:/path, tcp:host:port, vsock:cid:port or fd:number",
        )
    return found


def _unix(rest: str) -> Address | None:
    fits = rest.startswith("/") and len(rest.encode()) <= _PATH_LENGTH and "\0" not in rest
    return UnixAddress(rest) if fits else None


def _tcp(rest: str) -> Address | None:
    host, _, port = rest.rpartition(":")
    number = _number(port, _LARGEST_PORT)
    if number is None or not _HOST.match(host):
        return None
    return TcpAddress(host.strip("[]"), number)


def _vsock(rest: str) -> Address | None:
    context, _, port = rest.partition(":")
    cid = VSOCK_ANY if context == "any" else _number(context, _LARGEST_U32 - 1)
    number = _number(port, _LARGEST_U32 - 1)
    return None if cid is None or number is None else VsockAddress(cid, number)


def _inherited(rest: str) -> Address | None:
    number = _number(rest, _LARGEST_PORT)
    # 0 to 2 are the standard streams: never a socket that a host meant to hand over.
    return None if number is None or number <= 2 else InheritedAddress(number)


def _number(text: str, largest: int) -> int | None:
    if not re.fullmatch(r"0|[1-9][0-9]{0,9}", text, re.ASCII):
        return None
    return int(text) if int(text) <= largest else None


_READERS: Final = {"unix": _unix, "tcp": _tcp, "vsock": _vsock, "fd": _inherited}
