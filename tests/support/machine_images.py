"""Images that machines measure: enclave image files of Nitro, firmware for TDX."""

from __future__ import annotations

import struct
import zlib
from uuid import UUID

KERNEL, LINE, RAMDISK, SIGNATURE, METADATA = 1, 2, 3, 4, 5


def with_checksum(raw: bytes) -> bytes:
    return raw[:544] + struct.pack(">I", zlib.crc32(raw[:544] + raw[548:])) + raw[548:]


def eif(sections, *, version=4, magic=b".eif", gap=0, tail=b"", count=None):
    body, offsets = b"", []
    for kind, content in sections:
        body += bytes(gap)
        offsets.append(548 + len(body))
        body += struct.pack(">HHQ", kind, 0, len(content)) + content
    sizes = [len(content) for _, content in sections]
    fill = [0] * (32 - len(sections))
    head = magic + struct.pack(">HHQQHH", version, 0, 1 << 29, 2, 0, count or len(sections))
    head += struct.pack(">32Q", *offsets, *fill) + struct.pack(">32Q", *sizes, *fill)
    return with_checksum(head + bytes(8) + body + tail)


FOOTER = UUID("96b582de-1fb2-45f7-baea-a366c55a082d").bytes_le
TDVF_METADATA = UUID("e47a6535-984a-4798-865e-4685a7bf8ec2").bytes_le
OTHER = UUID("00f771de-1a7e-4fcb-890e-68c77e2fb44e").bytes_le


def entry(guid, data):
    return data + struct.pack("<H", len(data) + 18) + guid


def tdvf(sections, *, version=1, length=None, count=None, signature=b"TDVF", offset=None, footer=FOOTER, entries=None):  # fmt: skip
    """`sections`: content, address, bytes of memory, attributes."""
    body, described = b"", b""
    for content, address, memory, attributes in sections:
        described += struct.pack("<IIQQII", len(body), len(content), address, memory, 0, attributes)
        body += content
    total = len(sections) if count is None else count
    head = struct.pack("<III", 16 + 32 * total if length is None else length, version, total)
    metadata = signature + head + described
    table = entries
    if table is None:
        size = 18 + 18 + 22 + 3  # the footer, another entry, that of the metadata
        away = 32 + size + len(metadata) if offset is None else offset
        table = entry(TDVF_METADATA, struct.pack("<I", away)) + entry(OTHER, b"abc")
    table += struct.pack("<H", len(table) + 18) + footer
    return body + metadata + table + bytes(32)
