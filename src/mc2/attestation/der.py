"""A strict reader of DER (X.690): every byte is taken once, and each value has one spelling.

Definite, shortest lengths; one-byte tags; shortest integers. What certificates and their vendors'
extensions need, and no more. It raises `DerError`, which callers turn into an error that names
the thing they read.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from enum import IntEnum
from functools import lru_cache
from typing import Final

_LENGTH_BYTES: Final = 3  # 16 MiB: more than any limit on what comes in
_TIME: Final = re.compile(rb"(?:[0-9]{2}){6}(?:[0-9]{2})?Z")
_CENTURY: Final = 50  # RFC 5280 §4.1.2.5.1: UTCTime from 50 on is of the 20th century


class DerError(ValueError):
    """The bytes are not DER, or not the DER that was expected."""


class Tag(IntEnum):
    """The tags in use; context-specific ones are written as numbers, 0xA0 and up."""

    BOOLEAN = 0x01
    INTEGER = 0x02
    BIT_STRING = 0x03
    OCTET_STRING = 0x04
    OID = 0x06
    UTF8_STRING = 0x0C
    PRINTABLE_STRING = 0x13
    IA5_STRING = 0x16
    UTC_TIME = 0x17
    GENERALIZED_TIME = 0x18
    SEQUENCE = 0x30
    SET = 0x31


class DerReader:
    """Takes values from a run of DER, front to back."""

    __slots__ = ("_at", "_end", "_raw")

    def __init__(self, raw: bytes, start: int = 0, end: int | None = None) -> None:
        self._raw = raw
        self._at = start
        self._end = len(raw) if end is None else end

    def more(self) -> bool:
        """Whether there is another value."""
        return self._at < self._end

    def next_is(self, tag: int) -> bool:
        """Whether there is another value, and has this tag."""
        return self._at < self._end and self._raw[self._at] == tag

    def done(self) -> None:
        """Refuse leftovers. Raises: DerError."""
        if self._at != self._end:
            raise DerError

    def inside(self, tag: int = Tag.SEQUENCE) -> DerReader:
        """A reader of what the next value contains. Raises: DerError."""
        start, end = self._take(tag)
        return DerReader(self._raw, start, end)

    def contents(self, tag: int) -> bytes:
        """The contents of the next value. Raises: DerError."""
        start, end = self._take(tag)
        return self._raw[start:end]

    def whole(self, tag: int = Tag.SEQUENCE) -> bytes:
        """The next value with its head. Raises: DerError."""
        first = self._at
        _, end = self._take(tag)
        return self._raw[first:end]

    def integer(self) -> int:
        """An integer in its shortest form. Raises: DerError."""
        raw = self.contents(Tag.INTEGER)
        # Nine equal bits in front say nothing that eight do not.
        if not raw or (len(raw) > 1 and raw[0] in {0, 0xFF} and raw[0] >> 7 == raw[1] >> 7):
            raise DerError
        return int.from_bytes(raw, "big", signed=True)

    def boolean(self) -> bool:
        """True or false. Raises: DerError."""
        raw = self.contents(Tag.BOOLEAN)
        if raw not in {b"\x00", b"\xff"}:
            raise DerError
        return raw == b"\xff"

    def oid(self) -> str:
        """An object identifier, dotted. Raises: DerError."""
        return _dotted(self.contents(Tag.OID))

    def octets(self) -> bytes:
        """An octet string. Raises: DerError."""
        return self.contents(Tag.OCTET_STRING)

    def bits(self) -> bytes:
        """A bit string of whole bytes. Raises: DerError."""
        raw = self.contents(Tag.BIT_STRING)
        if raw[:1] != b"\x00":
            raise DerError
        return raw[1:]

    def time(self) -> datetime:
        """A moment in UTC, in whole seconds. Raises: DerError."""
        tag = Tag.UTC_TIME if self.next_is(Tag.UTC_TIME) else Tag.GENERALIZED_TIME
        return _moment(self.contents(tag), short=tag is Tag.UTC_TIME)

    def _take(self, tag: int) -> tuple[int, int]:
        """Step over the next value and say where its contents start and end."""
        raw, at = self._raw, self._at
        if self._end - at < 2 or raw[at] != tag:
            raise DerError
        start, size = at + 2, raw[at + 1]
        if size >= 0x80:
            count = size - 0x80
            start += count
            if not 0 < count <= _LENGTH_BYTES or start > self._end:
                raise DerError
            size = int.from_bytes(raw[at + 2 : start], "big")
            if size < 0x80 or size >> 8 * (count - 1) == 0:  # a shorter head would do
                raise DerError
        end = start + size
        if end > self._end:
            raise DerError
        self._at = end
        return start, end


@lru_cache(maxsize=1024)  # a list of revoked certificates repeats few moments many times
def _moment(raw: bytes, *, short: bool) -> datetime:
    if not _TIME.fullmatch(raw) or len(raw) != (13 if short else 15):
        raise DerError
    digits = raw[:-1].decode("ascii")
    if short:
        digits = ("19" if int(digits[:2]) >= _CENTURY else "20") + digits
    month, day, hour, minute, second = (int(digits[at : at + 2]) for at in range(4, 14, 2))
    try:
        return datetime(int(digits[:4]), month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        raise DerError from None


@lru_cache(maxsize=256)
def _dotted(raw: bytes) -> str:
    arcs, value, started = [], 0, False
    for byte in raw:
        if not started and byte == 0x80:  # a leading zero digit
            raise DerError
        value, started = value << 7 | byte & 0x7F, bool(byte & 0x80)
        if not started:
            arcs.append(value)
            value = 0
    if started or not arcs:
        raise DerError
    first = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (first, arcs[0] - 40 * first, *arcs[1:]))
