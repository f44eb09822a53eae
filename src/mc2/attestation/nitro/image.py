"""What an enclave image file (EIF) of AWS Nitro leaves in registers 0 to 2, from the file alone.

Layout: the format's specification in AWS's repository aws-nitro-enclaves-image-format, versions 2
to 4: a header, then sections one after the other, all numbers big-endian. A register is SHA-384
over 48 zero bytes and the SHA-384 of what it measures. Pure: bytes in, register values out.
Spec: docs/spec/measurements.md.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from mc2.attestation.cursor import Cursor
from mc2.errors import EvidenceError, FormatError

_MAGIC: Final = b".eif"
_VERSIONS: Final = range(2, 5)
_MOST_SECTIONS: Final = 32
_HEADER: Final = 548
_CRC: Final = 4
_HINT: Final = "give the file that nitro-cli build-enclave wrote"


class _Kind(IntEnum):
    KERNEL = 1
    COMMAND_LINE = 2
    RAMDISK = 3
    SIGNATURE = 4
    METADATA = 5


_KINDS: Final = {int(kind): kind for kind in _Kind}


@dataclass(frozen=True, slots=True)
class ImageMeasurement:
    """Registers by name (`pcr0`, ...), and whether a signature fills register 8 besides."""

    version: int
    registers: Mapping[str, bytes]
    signed: bool


def predict_image(raw: bytes) -> ImageMeasurement:
    """The registers of an image. Raises: FormatError for anything but one whole, sound image."""
    try:
        version, sections = _sections(raw)
    except EvidenceError as error:
        raise FormatError(f"this is not an enclave image: {error}", hint=_HINT) from None
    parts = {kind: [body for found, body in sections if found is kind] for kind in _Kind}
    kernels, lines, ramdisks = (parts[k] for k in (_Kind.KERNEL, _Kind.COMMAND_LINE, _Kind.RAMDISK))
    if len(kernels) != 1 or len(lines) != 1 or not ramdisks or len(parts[_Kind.SIGNATURE]) > 1:
        raise FormatError(
            "an enclave image has one kernel, one command line, ramdisks and at most one signature",
            hint=_HINT,
        )
    boot = [kernels[0], lines[0]]
    registers = {
        "pcr0": _register([*boot, *ramdisks]),
        "pcr1": _register([*boot, ramdisks[0]]),
        "pcr2": _register(ramdisks[1:]),
    }
    return ImageMeasurement(version, registers, signed=bool(parts[_Kind.SIGNATURE]))


def _register(parts: Iterable[bytes]) -> bytes:
    content = hashlib.sha384()
    for part in parts:
        content.update(part)
    return hashlib.sha384(bytes(48) + content.digest()).digest()


def _sections(raw: bytes) -> tuple[int, list[tuple[_Kind, bytes]]]:
    """The version, and the sections in their order. Raises: EvidenceError."""
    header = Cursor(raw[:_HEADER], "its header", "big")
    if header.take(4) != _MAGIC:
        raise EvidenceError("it does not begin with .eif")
    version = header.number(2)
    if version not in _VERSIONS:
        raise EvidenceError(f"its version is {version}, not 2 to 4")
    header.take(2 + 8 + 8 + 2)  # architecture; how much memory and how many processors by default
    count = header.number(2)
    if not 1 <= count <= _MOST_SECTIONS:
        raise EvidenceError("it has no sections, or more than 32")
    offsets = [header.number(8) for _ in range(_MOST_SECTIONS)]
    sizes = [header.number(8) for _ in range(_MOST_SECTIONS)]
    header.take(4)
    if header.number(_CRC) != zlib.crc32(raw[_HEADER:], zlib.crc32(raw[: _HEADER - _CRC])):
        raise EvidenceError("its checksum does not match")
    if any(offsets[count:]) or any(sizes[count:]):
        raise EvidenceError("its header names sections that it does not count")
    body = Cursor(raw[_HEADER:], "it", "big")
    found = [_section(body, *place) for place in zip(offsets[:count], sizes[:count], strict=True)]
    body.done()
    return version, found


def _section(body: Cursor, offset: int, size: int) -> tuple[_Kind, bytes]:
    if offset != _HEADER + body.position:
        raise EvidenceError("its sections do not follow one another")
    kind, flags, own_size = body.number(2), body.number(2), body.number(8)
    if kind not in _KINDS or flags or own_size != size:
        raise EvidenceError("a section's header is of an unknown sort, or contradicts the image's")
    return _KINDS[kind], body.take(size)
