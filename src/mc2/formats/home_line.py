"""What a party's process at home and a coordinator say to each other. Spec: docs/spec/home.md.

A turn is one order of the coordinator, or the answer to it: the session of the process (16 bytes),
the number of the order (8, big-endian), and a frame of the worker protocol, or nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Self

from mc2.errors import FormatError
from mc2.formats.frames import Frame, FrameReader
from mc2.formats.limits import LIMITS

SESSION_BYTES: Final = 16
NO_TURN: Final = 0
_NUMBER: Final = 8
_HEAD: Final = SESSION_BYTES + _NUMBER
_MOST: Final = 1 << 62

TURN_BYTES: Final = _HEAD + 8 + LIMITS.frame_header_bytes + LIMITS.frame_body_bytes
"""How long a turn may be."""


@dataclass(frozen=True, slots=True)
class HomeTurn:
    """One order or answer. Without a frame it says that the process is there, and at which turn."""

    session: str
    turn: int
    frame: bytes

    def encode(self) -> bytes:
        """The turn's bytes."""
        return bytes.fromhex(self.session) + self.turn.to_bytes(_NUMBER, "big") + self.frame

    @classmethod
    def parse(cls, raw: bytes) -> Self:
        """Read a turn; its frame is not looked at. Raises: FormatError."""
        if not _HEAD <= len(raw) <= TURN_BYTES:
            raise FormatError("a turn of a home has another length than it could have")
        turn = int.from_bytes(raw[SESSION_BYTES:_HEAD], "big")
        if turn > _MOST:
            raise FormatError("a turn of a home has a number that is too large")
        return cls(raw[:SESSION_BYTES].hex(), turn, raw[_HEAD:])

    @staticmethod
    def frame_of(raw: bytes) -> Frame:
        """The one frame in some bytes. Raises: FormatError."""
        reader, at = FrameReader(), 0
        while True:
            wanted = reader.wanted
            frame = reader.feed(raw[at : at + wanted])
            at += wanted
            if frame is not None:
                break
            if at >= len(raw):
                raise FormatError("a turn of a home ends inside its frame")
        if at != len(raw):
            raise FormatError("a turn of a home has more than one frame")
        return frame
