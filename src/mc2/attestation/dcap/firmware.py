"""What a TDX guest's firmware (TDVF) leaves in MRTD, from its image alone.

The image says which of its parts the monitor loads where ("Intel TDX Virtual Firmware Design
Guide", chapter on metadata); MRTD is SHA-384 over what the TDX module adds for it: 128 bytes for
each page (TDH.MEM.PAGE.ADD) and, of measured pages, 128 bytes and the content for each 256 bytes
(TDH.MR.EXTEND; Intel TDX Module ABI). Pure: bytes in, values out. `docs/spec/measurements.md`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError, FormatError

_FOOTER: Final = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
_METADATA: Final = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
_RESET_VECTOR: Final = 32  # what stands behind the table, at the very end
_ENTRY: Final = 18  # a length of two bytes and a GUID, behind an entry's data
_SIGNATURE: Final = b"TDVF"
_SECTION: Final = 32
_MOST_SECTIONS: Final = 64
_MOST_PAGES: Final = 1 << 20
_PAGE: Final = 4096
_PIECE: Final = 256
_MEASURED: Final = 1  # attributes of sections
_ADDED_LATER: Final = 2
_HINT: Final = "give the whole firmware image (OVMF.fd), built with support for TDX"


@dataclass(frozen=True, slots=True)
class _Section:
    """A part of the image, and the guest's memory that it fills."""

    content: bytes
    address: int
    pages: int
    measured: bool


@dataclass(frozen=True, slots=True)
class FirmwareMeasurement:
    """MRTD by a monitor that measures page by page, and by one that adds all pages first."""

    by_page: bytes
    by_section: bytes


def predict_mrtd(raw: bytes) -> FirmwareMeasurement:
    """MRTD of a guest that is started with this firmware. Raises: FormatError."""
    try:
        sections = _sections(raw)
    except EvidenceError as error:
        raise FormatError(f"this is no firmware for TDX: {error}", hint=_HINT) from None
    by_page, by_section = hashlib.sha384(), hashlib.sha384()
    for section in sections:
        for page in range(section.pages):
            added = _added(section, page)
            by_page.update(added)
            by_section.update(added)
            for extended in _extended(section, page):
                by_page.update(extended)
        for page in range(section.pages):
            for extended in _extended(section, page):
                by_section.update(extended)
    return FirmwareMeasurement(by_page.digest(), by_section.digest())


def _added(section: _Section, page: int) -> bytes:
    return _record(b"MEM.PAGE.ADD", section.address + page * _PAGE)


def _extended(section: _Section, page: int) -> Iterator[bytes]:
    if not section.measured:
        return
    for at in range(page * _PAGE, (page + 1) * _PAGE, _PIECE):
        yield _record(b"MR.EXTEND", section.address + at) + section.content[at : at + _PIECE]


def _record(name: bytes, address: int) -> bytes:
    return name.ljust(16, b"\0") + address.to_bytes(8, "little") + bytes(104)


def _sections(raw: bytes) -> list[_Section]:
    """What the monitor loads, in order. Raises: EvidenceError."""
    from_end = int.from_bytes(_table_entry(raw), "little")
    if not 16 <= from_end <= len(raw):
        raise EvidenceError("its metadata are not within the image")
    metadata = Cursor(raw[len(raw) - from_end :], "its metadata", "little")
    if metadata.take(4) != _SIGNATURE:
        raise EvidenceError("its metadata do not begin with TDVF")
    length, version, count = (metadata.number(4) for _ in range(3))
    if version != 1 or not 1 <= count <= _MOST_SECTIONS or length != 16 + count * _SECTION:
        raise EvidenceError("its metadata are of another version, or contradict themselves")
    found = [_section(raw, metadata) for _ in range(count)]
    if sum(s.pages for s in found) > _MOST_PAGES:
        raise EvidenceError("its sections are larger than 4 GiB")
    return [s for s in found if s.pages]


def _section(raw: bytes, metadata: Cursor) -> _Section:
    offset, size = metadata.number(4), metadata.number(4)
    address, memory = metadata.number(8), metadata.number(8)
    metadata.number(4)  # what it is for
    attributes = metadata.number(4)
    if attributes & ~(_MEASURED | _ADDED_LATER):
        raise EvidenceError("a section has an attribute that is not known")
    measured = bool(attributes & _MEASURED)
    if address % _PAGE or memory % _PAGE or size > memory or offset + size > len(raw):
        raise EvidenceError("a section is not within the image, or not in whole pages")
    if measured and (size != memory or attributes & _ADDED_LATER):
        raise EvidenceError("a measured section's content is not all in the image")
    pages = 0 if attributes & _ADDED_LATER else memory // _PAGE
    return _Section(raw[offset : offset + size], address, pages, measured)


def _table_entry(raw: bytes) -> bytes:
    """The entry of OVMF's table of GUIDs that says where the metadata are. Raises: EvidenceError.

    The table is read from its end: each entry is data, the length of both, and a GUID.
    """
    end = len(raw) - _RESET_VECTOR
    if end < _ENTRY or raw[end - 16 : end] != _FOOTER:
        raise EvidenceError("it has no table of GUIDs at its end")
    start = end - int.from_bytes(raw[end - _ENTRY : end - 16], "little")
    end -= _ENTRY
    while end - _ENTRY >= max(start, 0):
        size = int.from_bytes(raw[end - _ENTRY : end - 16], "little")
        if size < _ENTRY or end - size < start:
            raise EvidenceError("its table of GUIDs contradicts itself")
        if raw[end - 16 : end] == _METADATA:
            if size != _ENTRY + 4:
                raise EvidenceError("its table of GUIDs contradicts itself")
            return raw[end - size : end - _ENTRY]
        end -= size
    raise EvidenceError("its table of GUIDs names no metadata for TDX")
