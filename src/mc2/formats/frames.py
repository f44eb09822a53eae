"""Frames on the socket between an enclave and its host. Spec: docs/spec/worker-protocol.md.

A frame is two big-endian 32-bit lengths, a header in canonical JSON, and a body of raw bytes.
Nothing here reads a socket: `FrameReader` says how many bytes it wants and takes them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from mc2.errors import FormatError
from mc2.formats.canonical import Json, decode, encode
from mc2.formats.limits import LIMITS

_LENGTHS: Final = struct.Struct(">II")
_SMALLEST_HEADER: Final = 2  # {}


@dataclass(frozen=True, slots=True)
class Frame:
    """One message: what it says, and the bytes that it is about."""

    header: Mapping[str, Json]
    body: bytes = b""

    def encode(self) -> tuple[bytes, bytes]:
        """The frame's bytes in two parts, so that a large body need not be copied.

        Raises: FormatError for more than the ceilings allow.
        """
        header = encode(dict(self.header))
        _check_lengths(len(header), len(self.body))
        return _LENGTHS.pack(len(header), len(self.body)) + header, self.body


def _check_lengths(header_bytes: int, body_bytes: int) -> None:
    if not _SMALLEST_HEADER <= header_bytes <= LIMITS.frame_header_bytes:
        raise FormatError(f"a frame's header has 2 to {LIMITS.frame_header_bytes} bytes")
    if body_bytes > LIMITS.frame_body_bytes:
        raise FormatError(f"a frame's body has at most {LIMITS.frame_body_bytes} bytes")


@dataclass(slots=True)
class FrameReader:
    """Reads frames from bytes as they come. After an error it takes nothing more.

    The announced lengths are checked before a byte of what they announce is taken, and memory
    grows with what came, never with what was announced.
    """

    _buffer: bytearray = field(default_factory=bytearray)
    _lengths: tuple[int, int] | None = None
    _broken: bool = False

    @property
    def wanted(self) -> int:
        """How many bytes, at most, `feed` takes next: never more than the frame under way has."""
        if self._lengths is None:
            return _LENGTHS.size - len(self._buffer)
        return sum(self._lengths) - len(self._buffer)

    @property
    def between_frames(self) -> bool:
        """Whether a stream may end here."""
        return self._lengths is None and not self._buffer and not self._broken

    def feed(self, data: bytes | bytearray | memoryview) -> Frame | None:
        """Take up to `wanted` bytes; the frame, if they complete one. Raises: FormatError."""
        if self._broken:
            raise FormatError("nothing can be read after a broken frame")
        if len(data) > self.wanted:
            raise ValueError("more bytes than the reader wanted")
        self._buffer += data
        if self.wanted:
            return None
        self._broken = True  # unless this step comes to its end
        frame = None
        if self._lengths is None:
            self._begin()
        else:
            frame = self._complete(self._lengths[0])
        self._broken = False
        return frame

    def _begin(self) -> None:
        header_bytes, body_bytes = _LENGTHS.unpack(self._buffer)
        _check_lengths(header_bytes, body_bytes)
        self._lengths = (header_bytes, body_bytes)
        self._buffer = bytearray()

    def _complete(self, header_bytes: int) -> Frame:
        with memoryview(self._buffer) as view:
            raw, body = bytes(view[:header_bytes]), bytes(view[header_bytes:])
        self._buffer, self._lengths = bytearray(), None
        header = decode(raw, LIMITS.frame_header_bytes, "a frame's header")
        if not isinstance(header, Mapping):
            raise FormatError("a frame's header is not an object")
        return Frame(header, body)
