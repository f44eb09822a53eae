"""Sockets that lead nowhere but to the process's owner: a member's end of all its streams.

They behave as TCP does for a program that listens, connects, sends and receives. There is no port,
no address and no descriptor behind them that anybody could reach: what is sent comes out as
packets, which the owner carries, and nothing else comes in.
"""

from __future__ import annotations

import errno
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.engine.collective.packets import PAYLOAD, Kind, Packet, Stream
from mc2.errors import FormatError

FIRST: Final = 1 << 24
"""The number of the first socket: no descriptor of a process is as large."""

_FIRST_PORT: Final = 1024
_LAST_PORT: Final = 65535

READABLE: Final = 0x1
WRITABLE: Final = 0x4
HUNG_UP: Final = 0x10
INVALID: Final = 0x20
"""What `poll` says of a descriptor, as <poll.h> has it."""


@dataclass(slots=True, eq=False)
class _Socket:
    """A socket: at first nothing, then a listener or the end of a stream."""

    port: int = 0
    listener: threading.Thread | None = None
    waiting: deque[_Socket] | None = None
    stream: Stream | None = None
    peer: int = 0
    peer_port: int = 0
    local: _Socket | None = None
    arrived: bytearray = field(default_factory=bytearray)
    ended: bool = False
    shut: bool = False
    blocking: bool = True

    @property
    def readable(self) -> bool:
        """Whether a read, or an accept, would not wait."""
        return bool(self.arrived or self.ended or self.waiting or self.shut)


class Network:
    """One member's sockets. `send` takes packets; `idle` is told when threads wait for others.

    All calls but `deliver` are those of the C library, and fail as they do, with `OSError`.
    """

    def __init__(
        self, member: int, send: Callable[[bytes], None], idle: Callable[[int], None]
    ) -> None:
        self.member = member
        self._send, self._idle = send, idle
        self._sockets: dict[int, _Socket] = {}
        self._by_stream: dict[Stream, _Socket] = {}
        self._early: dict[int, list[_Socket]] = {}
        self._next, self._next_port, self._next_stream = FIRST, _FIRST_PORT, 0
        self._changed = threading.Condition()
        self._turn = 0
        self._news = 0

    # --- what the owner carries

    def deliver(self, turn: int, packets: list[Packet]) -> None:
        """Take packets of others. `turn` counts deliveries. Raises: FormatError."""
        with self._changed:
            self._turn = turn
            self._news += 1
            for packet in packets:
                self._take(packet)
            self._changed.notify_all()

    def _take(self, packet: Packet) -> None:
        stream = packet.stream
        if packet.kind is Kind.CONNECT:
            member, port = packet.target
            if member != self.member or stream.origin == self.member or stream in self._by_stream:
                raise FormatError("a stream was opened that is not for this member, or twice")
            socket = _Socket(stream=stream, peer=stream.origin, port=port)
            self._by_stream[stream] = socket
            self._arrive(port, socket)
            return
        found = self._by_stream.get(stream)
        if found is None:
            raise FormatError("a packet is of a stream that nobody opened")
        if found.ended:
            raise FormatError("a stream goes on after its end")
        if packet.kind is Kind.END:
            found.ended = True
        else:
            found.arrived += packet.payload

    def _arrive(self, port: int, socket: _Socket) -> None:
        """Hand a new stream to who listens; if nobody does yet, to who will."""
        for found in self._sockets.values():
            if found.waiting is not None and found.port == port and not found.shut:
                found.waiting.append(socket)
                return
        self._early.setdefault(port, []).append(socket)

    # --- the calls

    def owns(self, number: int) -> bool:
        """Whether a number is that of a socket of this network."""
        return number in self._sockets

    def socket(self) -> int:
        """A new socket."""
        with self._changed:
            return self._add(_Socket())

    def bind(self, number: int, port: int) -> None:
        """Take a port: any free one for 0."""
        with self._changed:
            socket = self._get(number)
            taken = {s.port for s in self._sockets.values() if s.waiting is not None}
            if port in taken:
                raise OSError(errno.EADDRINUSE, "the port is in use")
            socket.port = port or self._free_port()

    def listen(self, number: int) -> None:
        """Wait for streams to the socket's port."""
        with self._changed:
            socket = self._get(number)
            socket.waiting = deque(self._early.pop(socket.port, ()))
            socket.listener = threading.current_thread()
            self._changed.notify_all()

    def accept(self, number: int) -> tuple[int, int, int]:
        """The next stream to a listener: a socket, the member and the port it came from."""
        with self._changed:
            socket = self._get(number)
            if socket.waiting is None:
                raise OSError(errno.EINVAL, "the socket does not listen")
            # A thread that does nothing else waits for good news that never come: it is no reason
            # to think that the process needs something. Bootstrapping listens and accepts itself.
            counts = socket.listener is threading.current_thread()
            if not socket.waiting and not socket.blocking:
                raise OSError(errno.EAGAIN, "nobody came yet")
            self._wait(lambda: bool(socket.waiting) or socket.shut, counts=counts)
            if socket.shut:
                raise OSError(errno.EINVAL, "the socket listens no more")
            found = socket.waiting.popleft()
            return self._add(found), found.peer, found.peer_port

    def connect(self, number: int, member: int, port: int) -> None:
        """Open a stream to a port of a member; it need not listen yet."""
        with self._changed:
            socket = self._get(number)
            if socket.stream is not None or socket.local is not None:
                raise OSError(errno.EISCONN, "the socket has a stream")
            socket.peer, socket.peer_port = member, port
            socket.port = socket.port or self._free_port()
            if member == self.member:
                other = _Socket(peer=member, peer_port=socket.port, port=port, local=socket)
                socket.local = other
                self._arrive(port, other)
                self._changed.notify_all()
                return
            socket.stream = Stream(self.member, self._next_stream)
            self._next_stream += 1
            self._by_stream[socket.stream] = socket
            self._send(Packet.connect(socket.stream, member, port).encode())

    def send(self, number: int, data: bytes) -> int:
        """Send all of it: nothing here ever makes a sender wait."""
        with self._changed:
            socket = self._get(number)
            if socket.shut:
                raise OSError(errno.EPIPE, "the stream was ended")
            if socket.local is not None:
                socket.local.arrived += data
                self._news += 1
                self._changed.notify_all()
            elif socket.stream is not None:
                for at in range(0, len(data), PAYLOAD):
                    part = data[at : at + PAYLOAD]
                    self._send(Packet(Kind.DATA, socket.stream, part).encode())
            else:
                raise OSError(errno.ENOTCONN, "the socket has no stream")
            return len(data)

    def receive(self, number: int, most: int, *, all_of_it: bool = False) -> bytes:
        """What arrived, at most so many bytes; nothing at the stream's end."""
        with self._changed:
            socket = self._get(number)
            least = most if all_of_it else 1
            if not socket.readable and not socket.blocking:
                raise OSError(errno.EAGAIN, "nothing came yet")
            self._wait(lambda: len(socket.arrived) >= least or socket.ended or socket.shut)
            found = bytes(socket.arrived[:most])
            del socket.arrived[:most]
            return found

    def poll(self, wanted: Mapping[int, int], *, wait: bool) -> dict[int, int]:
        """What can be done, of what is wanted of each socket; waits for the first of it."""
        with self._changed:
            if wait:
                found = [self._sockets[n] for n in wanted if n in self._sockets]
                counts = any(s.waiting is None for s in found)
                self._wait(lambda: any(self._states(wanted).values()), counts=counts)
            return self._states(wanted)

    def shutdown(self, number: int) -> None:
        """End a stream, or a listener's waiting."""
        with self._changed:
            self._end(self._get(number))

    def close(self, number: int) -> None:
        """Forget a socket."""
        with self._changed:
            self._end(self._get(number))
            del self._sockets[number]

    def port(self, number: int) -> int:
        """The own port of a socket."""
        with self._changed:
            return self._get(number).port

    def set_blocking(self, number: int, *, blocking: bool) -> None:
        """Whether calls wait."""
        with self._changed:
            self._get(number).blocking = blocking

    def is_blocking(self, number: int) -> bool:
        """Whether calls wait."""
        with self._changed:
            return self._get(number).blocking

    # --- inside

    def _add(self, socket: _Socket) -> int:
        number = self._next
        self._next += 1
        self._sockets[number] = socket
        return number

    def _get(self, number: int) -> _Socket:
        found = self._sockets.get(number)
        if found is None:
            raise OSError(errno.EBADF, "there is no such socket")
        return found

    def _free_port(self) -> int:
        found = self._next_port
        if found > _LAST_PORT:
            raise OSError(errno.EADDRNOTAVAIL, "no port is left")
        self._next_port += 1
        return found

    def _end(self, socket: _Socket) -> None:
        if not socket.shut:
            socket.shut = True
            if socket.local is not None:
                socket.local.ended = True
            elif socket.stream is not None:
                self._send(Packet(Kind.END, socket.stream).encode())
        self._changed.notify_all()

    def _states(self, wanted: Mapping[int, int]) -> dict[int, int]:
        found = {}
        for number, asked in wanted.items():
            socket = self._sockets.get(number)
            if socket is None:
                found[number] = INVALID
                continue
            found[number] = asked & (
                (READABLE if socket.readable else 0) | (0 if socket.shut else WRITABLE)
            )
        return found

    def _wait(self, ready: Callable[[], bool], *, counts: bool = True) -> None:
        """Wait for others; whoever carries packets is told once for each delivery."""
        told = -1
        while not ready():
            if counts and told != self._news:
                told = self._news
                self._idle(self._turn)
            self._changed.wait()
