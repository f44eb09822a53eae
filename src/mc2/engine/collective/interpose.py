"""Gives one shared library other sockets than the system's.

A library calls the functions of others through a table of addresses that the dynamic linker fills
in. Here the entries of its socket functions are written anew, so that they lead to a `Network`.
Other libraries, and Python itself, keep the system's. Nothing of XGBoost is changed, and what it
says to its peers is not looked at.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from mc2.engine.collective.network import FIRST, Network
from mc2.errors import EngineError

_INT, _SIZE, _SSIZE, _POINTER = ctypes.c_int, ctypes.c_size_t, ctypes.c_ssize_t, ctypes.c_void_p

_AF_INET: Final = 2
_SOCK_STREAM: Final = 1
_SOL_SOCKET: Final = 1
_SO_TYPE, _SO_ERROR, _SO_DOMAIN = 3, 4, 39
_MSG_WAITALL: Final = 0x100
_F_GETFL, _F_SETFL = 3, 4
_O_NONBLOCK: Final = os.O_NONBLOCK
_EAI_NONAME: Final = -2
_PREFIX: Final = bytes((10, 0))
_OWN: Final = frozenset({bytes(4), bytes((127, 0, 0, 1))})
_EXIT: Final = 70
_HOST_NAME: Final = b"enclave\0"


class _Address(ctypes.Structure):
    """`sockaddr_in`; numbers of the network in its byte order."""

    _fields_ = (
        ("family", ctypes.c_uint16),
        ("port", ctypes.c_uint8 * 2),
        ("host", ctypes.c_uint8 * 4),
        ("zero", ctypes.c_uint8 * 8),
    )


class _AddressInfo(ctypes.Structure):
    """`addrinfo` of <netdb.h>."""

    _fields_ = (
        ("flags", _INT),
        ("family", _INT),
        ("kind", _INT),
        ("protocol", _INT),
        ("length", ctypes.c_uint32),
        ("address", _POINTER),
        ("name", _POINTER),
        ("next", _POINTER),
    )


class _Poll(ctypes.Structure):
    """`pollfd` of <poll.h>."""

    _fields_ = (("number", _INT), ("wanted", ctypes.c_short), ("found", ctypes.c_short))


def address_of(member: int) -> str:
    """The address that a member seems to have."""
    return ".".join(str(b) for b in _host(member))


def _host(member: int) -> bytes:
    return _PREFIX + member.to_bytes(2, "big")


class Interposed:
    """A library whose sockets are those of `network`, from `install` on.

    Raises: EngineError if the library is built in another way than is known here.
    """

    def __init__(self, library: Path) -> None:
        self.network: Network | None = None
        self._kept: list[object] = []  # what C code points to
        self._install(library)

    def _install(self, library: Path) -> None:
        libc = ctypes.CDLL(None, use_errno=True)
        self._close: Any = libc.close
        self._fcntl: Any = libc.fcntl
        slots = import_slots(library)
        for name, (result, arguments, function) in self._functions().items():
            if name not in slots:
                raise EngineError(f"XGBoost does not call {name}: it is another build of it")
            kind = ctypes.CFUNCTYPE(result, *arguments, use_errno=True)
            callback = kind(function)
            self._kept.append(callback)
            address = ctypes.cast(callback, _POINTER).value
            for slot in slots[name]:
                _write(libc, slot, address or 0)

    def _functions(self) -> dict[str, tuple[Any, tuple[Any, ...], Callable[..., int | None]]]:
        return {
            "socket": (_INT, (_INT, _INT, _INT), _guarded(self._socket)),
            "bind": (_INT, (_INT, _POINTER, ctypes.c_uint32), _guarded(self._bind)),
            "listen": (_INT, (_INT, _INT), _guarded(self._listen)),
            "accept": (_INT, (_INT, _POINTER, _POINTER), _guarded(self._accept)),
            "connect": (_INT, (_INT, _POINTER, ctypes.c_uint32), _guarded(self._connect)),
            "send": (_SSIZE, (_INT, _POINTER, _SIZE, _INT), _guarded(self._send)),
            "recv": (_SSIZE, (_INT, _POINTER, _SIZE, _INT), _guarded(self._recv)),
            "poll": (_INT, (_POINTER, ctypes.c_ulong, _INT), _guarded(self._poll)),
            "shutdown": (_INT, (_INT, _INT), _guarded(self._shutdown)),
            "close": (_INT, (_INT,), _guarded(self._closed)),
            "fcntl": (_INT, (_INT, _INT, ctypes.c_long), _guarded(self._controlled)),
            "getsockname": (_INT, (_INT, _POINTER, _POINTER), _guarded(self._name)),
            "setsockopt": (
                _INT, (_INT, _INT, _INT, _POINTER, ctypes.c_uint32), _guarded(self._set_option),
            ),
            "getsockopt": (
                _INT, (_INT, _INT, _INT, _POINTER, _POINTER), _guarded(self._option),
            ),
            "getaddrinfo": (
                _INT, (ctypes.c_char_p, ctypes.c_char_p, _POINTER, _POINTER),
                _guarded(self._resolve),
            ),
            "freeaddrinfo": (None, (_POINTER,), _ignore),
            "gethostname": (_INT, (_POINTER, _SIZE), _guarded(_host_name)),
            "exit": (None, (_INT,), _exit),
        }  # fmt: skip

    @property
    def _here(self) -> Network:
        if self.network is None:
            raise OSError(errno.ENETDOWN, "no training shares this process")
        return self.network

    def _socket(self, family: int, kind: int, _: int) -> int:
        if family != _AF_INET or kind & 0xF != _SOCK_STREAM:
            raise OSError(errno.EAFNOSUPPORT, "there is TCP over IPv4 and nothing else")
        return self._here.socket()

    def _bind(self, number: int, address: int, _: int) -> int:
        self._here.bind(number, _target(address)[1])
        return 0

    def _listen(self, number: int, _: int) -> int:
        self._here.listen(number)
        return 0

    def _accept(self, number: int, address: int | None, length: int | None) -> int:
        found, member, port = self._here.accept(number)
        if address and length:
            _put_address(address, length, member, port)
        return found

    def _connect(self, number: int, address: int, _: int) -> int:
        member, port = _target(address)
        self._here.connect(number, self._here.member if member is None else member, port)
        return 0

    def _send(self, number: int, data: int, length: int, _: int) -> int:
        return self._here.send(number, ctypes.string_at(data, length))

    def _recv(self, number: int, room: int, length: int, flags: int) -> int:
        found = self._here.receive(number, length, all_of_it=bool(flags & _MSG_WAITALL))
        ctypes.memmove(room, found, len(found))
        return len(found)

    def _poll(self, first: int, count: int, timeout: int) -> int:
        table = (_Poll * count).from_address(first)
        # Who waits too long is ended by the owner of the process: time is no matter of peers.
        found = self._here.poll({p.number: p.wanted for p in table}, wait=timeout != 0)
        for entry in table:
            entry.found = found[entry.number]
        return sum(1 for entry in table if entry.found)

    def _shutdown(self, number: int, _: int) -> int:
        self._here.shutdown(number)
        return 0

    def _closed(self, number: int) -> int:
        if number < FIRST:
            return int(self._close(number))
        self._here.close(number)
        return 0

    def _controlled(self, number: int, command: int, value: int) -> int:
        if number < FIRST:
            return int(self._fcntl(number, command, ctypes.c_long(value)))
        if command == _F_GETFL:
            return 0 if self._here.is_blocking(number) else _O_NONBLOCK
        if command == _F_SETFL:
            self._here.set_blocking(number, blocking=not value & _O_NONBLOCK)
        return 0

    def _name(self, number: int, address: int, length: int) -> int:
        _put_address(address, length, self._here.member, self._here.port(number))
        return 0

    def _set_option(self, number: int, *_: object) -> int:
        self._here.port(number)
        return 0

    def _option(self, number: int, level: int, option: int, room: int, _: int) -> int:
        self._here.port(number)
        known = {_SO_TYPE: _SOCK_STREAM, _SO_ERROR: 0, _SO_DOMAIN: _AF_INET}
        if level != _SOL_SOCKET or option not in known:
            raise OSError(errno.ENOPROTOOPT, "no such option")
        _INT.from_address(room).value = known[option]
        return 0

    def _resolve(self, host: bytes | None, service: bytes | None, _: int, room: int) -> int:
        try:
            parts = bytes(int(p) for p in (host or b"").split(b"."))
            port = int(service or b"0")
        except ValueError:
            return _EAI_NONAME
        if len(parts) != 4:
            return _EAI_NONAME
        address = _Address(_AF_INET, tuple(port.to_bytes(2, "big")), tuple(parts))
        found = _AddressInfo(0, _AF_INET, _SOCK_STREAM, 0, ctypes.sizeof(_Address))
        found.address = ctypes.addressof(address)
        self._kept += [address, found]
        _POINTER.from_address(room).value = ctypes.addressof(found)
        return 0


def _guarded(function: Callable[..., int]) -> Callable[..., int]:
    """The function as C knows it: -1 and a number in `errno` for what fails."""

    def call(*arguments: Any) -> int:
        try:
            return function(*arguments)
        except OSError as error:
            ctypes.set_errno(error.errno or errno.EIO)
        except Exception:  # noqa: BLE001  C code knows no exceptions
            ctypes.set_errno(errno.EIO)
        return -1

    return call


def _ignore(_: object) -> None:
    """What was given out stays where it is: a training asks for a few addresses."""


def _exit(_: int) -> None:
    """End at once: XGBoost calls this in a thread of its own when a peer has failed."""
    os._exit(_EXIT)


def _host_name(room: int, length: int) -> int:
    if length < len(_HOST_NAME):
        raise OSError(errno.ENAMETOOLONG, "the name does not fit")
    ctypes.memmove(room, _HOST_NAME, len(_HOST_NAME))
    return 0


def _target(address: int) -> tuple[int | None, int]:
    """The member and the port that an address names; None for the member itself."""
    found = _Address.from_address(address)
    host = bytes(found.host)
    own = host in _OWN
    if found.family != _AF_INET or (host[:2] != _PREFIX and not own):
        raise OSError(errno.ENETUNREACH, "the address is of no member")
    member = None if own else int.from_bytes(host[2:], "big")
    return member, int.from_bytes(bytes(found.port), "big")


def _put_address(room: int, length: int, member: int, port: int) -> None:
    address = _Address(_AF_INET, tuple(port.to_bytes(2, "big")), tuple(_host(member)))
    given = ctypes.c_uint32.from_address(length)
    ctypes.memmove(room, ctypes.addressof(address), min(ctypes.sizeof(address), given.value))
    given.value = ctypes.sizeof(address)


# --- the table of a library's imports, as System V's ELF has it

_LOAD, _DYNAMIC = 1, 2
_STRTAB, _SYMTAB, _RELA, _RELASZ, _PLTRELSZ, _JMPREL = 5, 6, 7, 8, 2, 23
_SYMBOL_BYTES: Final = 24
_RELOCATION: Final = struct.Struct("<QQq")
_PROT_READ, _PROT_WRITE = 1, 2


def import_slots(library: Path) -> dict[str, list[int]]:
    """Where a loaded library of 64 bits keeps the addresses of what it calls, by name.

    Raises: EngineError if it is not loaded, or is no such file.
    """
    base = _base(library)
    image = library.read_bytes()
    if image[:6] != b"\x7fELF\x02\x01":
        raise EngineError("XGBoost's library is no little-endian ELF file of 64 bits")
    (offset,) = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    segments = [struct.unpack_from("<IIQQQQ", image, offset + i * size) for i in range(count)]
    (dynamic,) = [s for s in segments if s[0] == _DYNAMIC]
    tags = dict(struct.iter_unpack("<QQ", image[dynamic[2] : dynamic[2] + dynamic[5]]))

    def place(address: int) -> int:
        for kind, _, at, start, _, length in segments:
            if kind == _LOAD and 0 <= address - start < length:
                return int(at + address - start)
        raise EngineError("XGBoost's library has tables where there is nothing")

    names, symbols = place(tags[_STRTAB]), place(tags[_SYMTAB])
    found: dict[str, list[int]] = {}
    for table, length in ((_JMPREL, _PLTRELSZ), (_RELA, _RELASZ)):
        if table not in tags:
            continue
        start = place(tags[table])
        for where, info, _ in _RELOCATION.iter_unpack(image[start : start + tags[length]]):
            symbol = symbols + (info >> 32) * _SYMBOL_BYTES
            name_at, _, _, section = struct.unpack_from("<IBBH", image, symbol)
            if info >> 32 and not section:  # it is another library's
                name = image[names + name_at : image.index(b"\0", names + name_at)].decode()
                found.setdefault(name, []).append(base + where)
    return found


def _base(library: Path) -> int:
    wanted = str(library.resolve())
    for line in Path("/proc/self/maps").read_text(encoding="utf-8").splitlines():
        fields = line.split(maxsplit=5)
        if len(fields) == 6 and fields[5] == wanted and fields[2] == "00000000":
            return int(fields[0].split("-")[0], 16)
    raise EngineError("XGBoost's library is not loaded")


def _write(libc: Any, slot: int, address: int) -> None:
    page = os.sysconf("SC_PAGE_SIZE")
    start = _POINTER(slot // page * page)
    if libc.mprotect(start, ctypes.c_size_t(page), _PROT_READ | _PROT_WRITE) != 0:
        raise EngineError("the table of XGBoost's imports cannot be written")
    ctypes.c_uint64.from_address(slot).value = address
