"""Messages over one connection to the host, on the enclave's side."""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from mc2.errors import FormatError
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.worker import FromEnclave, FromHost, parse_from_host

_PIECE_BYTES: Final = 1 << 20
_PEER_GONE: Final = select.POLLHUP | select.POLLERR | getattr(select, "POLLRDHUP", 0)


class ChannelClosedError(Exception):
    """The host hung up, or what it sent was no message: nothing more can come from it.

    Not one of mc2's errors: there is nobody left to tell.
    """


class Channel:
    """One connection. After a malformed message nothing more is read from it.

    While a job runs, the engine's threads read what the main thread's results still depend on:
    `send` and `ask` take turns.
    """

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._broken = False
        self._turn = threading.RLock()

    def send(self, message: FromEnclave) -> None:
        """Send one message. Raises: ChannelClosedError, FormatError if it is too large."""
        head, body = message.frame().encode()
        with self._turn:
            try:
                for part in (head, body) if body else (head,):
                    self._connection.sendall(part)
            except OSError:
                self._broken = True
                raise ChannelClosedError from None

    def ask(self, message: FromEnclave, seconds: float | None = None) -> FromHost:
        """Send a message and receive its answer, whole within so many `seconds`.

        Raises: as `send` and `receive`.
        """
        with self._turn:
            self.send(message)
            return self.receive(seconds)

    def receive(self, seconds: float | None = None) -> FromHost:
        """Receive one message. Raises: FormatError, TimeoutError; then ChannelClosedError."""
        if self._broken:
            raise ChannelClosedError
        self._broken = True  # unless a whole message comes
        until = None if seconds is None else time.monotonic() + seconds
        message = parse_from_host(self._receive_frame(until))
        self._broken = False
        return message

    def give_up(self, reason: str) -> FormatError:
        """Read nothing more; the error that says why."""
        self._broken = True
        return FormatError(reason)

    def _receive_frame(self, until: float | None) -> Frame:
        reader = FrameReader()
        while True:
            self._await(until)
            try:
                data = self._connection.recv(min(reader.wanted, _PIECE_BYTES))
            except OSError:
                raise ChannelClosedError from None
            if not data and reader.between_frames:
                raise ChannelClosedError
            if not data:
                raise FormatError("the connection ends inside a frame")
            if (frame := reader.feed(data)) is not None:
                return frame

    def _await(self, until: float | None) -> None:
        """Wait for more of a message. Raises: TimeoutError."""
        if until is None:
            return
        waiting = select.poll()
        waiting.register(self._connection, select.POLLIN)
        if not waiting.poll(max(0.0, until - time.monotonic()) * 1000):
            raise TimeoutError

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError):
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()

    def when_host_is_gone(self, act: Callable[[], None]) -> None:
        """Call `act`, in a thread of its own, once the host has hung up.

        A computation of an hour would not notice: it neither reads nor writes.
        """
        number = self._connection.fileno()

        def watch() -> None:
            waiting = select.poll()
            waiting.register(number, _PEER_GONE)
            waiting.poll()
            act()

        threading.Thread(target=watch, name="host", daemon=True).start()
