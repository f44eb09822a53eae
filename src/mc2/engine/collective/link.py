"""Frames between an enclave and its process for trainings, over one socket pair.

The socket keeps messages whole, so whoever comes after a process that ended in mid-frame finds the
next frame's beginning. Strict: a frame out of order or of another kind is refused.
"""

from __future__ import annotations

import select
import socket
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from mc2.errors import FormatError

MESSAGE: Final = 60_000  # bytes of a message at most: below every system's least buffer
FRAME: Final = 1 << 31
_HEADER: Final = 2


class Tag(IntEnum):
    """What a frame is. The enclave sends the first six, the process for trainings the others."""

    BEGIN = 1
    ROWS = 2
    GO = 3
    TURN = 4
    ABANDON = 5
    RESET = 6
    PACKET = 16
    IDLE = 17
    ROUND = 18
    MODEL = 19
    METRICS = 20
    FAILED = 21
    ENDED = 22


_ALONE: Final = frozenset({Tag.ENDED, Tag.RESET})
"""Frames of one message, which end whatever stood before them."""


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame."""

    tag: Tag
    payload: bytes = b""


class GoneError(Exception):
    """The other side closed the link, or does not answer."""


class Link:
    """One end of the pair. Only one thread may send, and only one may receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._tag: int | None = None
        self._parts: list[bytes] = []
        self._size = 0

    @property
    def number(self) -> int:
        """The descriptor of the socket."""
        return self._connection.fileno()

    def send(self, frame: Frame) -> None:
        """Send a frame. Raises: GoneError."""
        view = memoryview(frame.payload)
        at = 0
        while True:
            part = view[at : at + MESSAGE]
            at += len(part)
            head = bytes((frame.tag, int(at < len(view))))
            try:
                self._connection.send(head + part)
            except OSError:
                raise GoneError from None
            if at >= len(view):
                return

    def waits(self, seconds: float) -> bool:
        """Whether a message comes within some time."""
        poll = select.poll()
        poll.register(self._connection, select.POLLIN)
        return bool(poll.poll(seconds * 1000))

    def receive(self) -> Frame:
        """The next frame. Raises: GoneError; FormatError for what is no frame."""
        while True:
            try:
                raw = self._connection.recv(MESSAGE + _HEADER)
            except OSError:
                raise GoneError from None
            if not raw:
                raise GoneError
            found = self._take(raw)
            if found is not None:
                return found

    def forget(self) -> None:
        """Forget the frame that was under way."""
        self._tag, self._parts, self._size = None, [], 0

    def _take(self, raw: bytes) -> Frame | None:
        if len(raw) < _HEADER or raw[0] not in set(Tag) or raw[1] > 1:
            raise FormatError("the process for trainings sends what is no frame")
        tag, more = raw[0], bool(raw[1])
        if tag in _ALONE:
            self.forget()
        elif self._tag not in {None, tag}:
            raise FormatError("the process for trainings sends frames into one another")
        self._tag = tag
        self._parts.append(raw[_HEADER:])
        self._size += len(raw)
        if self._size > FRAME:
            raise FormatError("the process for trainings sends a frame without an end")
        if more:
            return None
        payload = b"".join(self._parts)
        self.forget()
        return Frame(Tag(tag), payload)
