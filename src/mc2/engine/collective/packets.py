"""What passes between XGBoost's processes: streams of bytes, each between two members.

Spec: docs/spec/collective.md, section "Packets".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from mc2.errors import FormatError

_HEADER: Final = struct.Struct(">BHII")
_TARGET: Final = struct.Struct(">HH")
PAYLOAD: Final = 1 << 20
"""Bytes of one packet at most."""


class Kind(IntEnum):
    """What a packet does to its stream."""

    CONNECT = 1
    DATA = 2
    END = 3


@dataclass(frozen=True, slots=True, order=True)
class Stream:
    """A stream: the member that opened it, and its number among those of that member."""

    origin: int
    number: int


@dataclass(frozen=True, slots=True)
class Packet:
    """A piece of one stream: `CONNECT` names a member and a port, `END` says that no more comes."""

    kind: Kind
    stream: Stream
    payload: bytes = b""

    @classmethod
    def connect(cls, stream: Stream, member: int, port: int) -> Packet:
        """The first packet of a stream, to a port of a member."""
        return cls(Kind.CONNECT, stream, _TARGET.pack(member, port))

    @property
    def target(self) -> tuple[int, int]:
        """The member and the port that a `CONNECT` names."""
        member, port = _TARGET.unpack(self.payload)
        return member, port

    def encode(self) -> bytes:
        """The packet's bytes."""
        header = (self.kind, self.stream.origin, self.stream.number, len(self.payload))
        return _HEADER.pack(*header) + self.payload


def packets(raw: bytes) -> Iterator[Packet]:
    """Packets that stand one after the other. Raises: FormatError."""
    at = 0
    while at < len(raw):
        if len(raw) - at < _HEADER.size:
            raise FormatError("a packet of a training is cut off")
        kind, origin, number, length = _HEADER.unpack_from(raw, at)
        at += _HEADER.size
        if length > min(PAYLOAD, len(raw) - at):
            raise FormatError("a packet of a training is cut off, or too long")
        yield _packet(kind, Stream(origin, number), raw[at : at + length])
        at += length


def _packet(kind: int, stream: Stream, payload: bytes) -> Packet:
    lengths = {Kind.CONNECT: _TARGET.size, Kind.END: 0}
    if kind not in set(Kind):
        raise FormatError("a packet of a training is of no kind that there is")
    if len(payload) != lengths.get(Kind(kind), len(payload)) or (kind == Kind.DATA and not payload):
        raise FormatError("a packet of a training has another length than its kind")
    return Packet(Kind(kind), stream, payload)
