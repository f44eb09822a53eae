"""Adds sections to a PE image: how systemd-stub becomes a unified kernel image.

The same bytes in give the same bytes out; there is no time stamp in what is added.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Final

_SECTION_HEADER: Final = 40
_READ_DATA: Final = 0x40000040  # IMAGE_SCN_MEM_READ | IMAGE_SCN_CNT_INITIALIZED_DATA


class PeError(ValueError):
    """The stub is no image that sections can be added to."""


def add_sections(stub: bytes, sections: Iterable[tuple[str, bytes]]) -> bytes:
    """The image with further sections at its end, in their order. Raises: PeError."""
    image = bytearray(stub)
    at = _number(image, 0x3C, 4)
    if image[:2] != b"MZ" or image[at : at + 4] != b"PE\0\0":
        raise PeError("the stub is not a PE image")
    optional = at + 24
    if _number(image, optional, 2) != 0x20B or _number(image, optional + 112 + 36, 4):
        raise PeError("the stub is not an unsigned PE32+ image")
    steps = _number(image, optional + 32, 4), _number(image, optional + 36, 4)
    for name, content in sections:
        _add(image, at, name, content, steps)
    struct.pack_into("<I", image, optional + 64, 0)  # the checksum: firmware does not look at it
    return bytes(image)


def _add(image: bytearray, at: int, name: str, content: bytes, steps: tuple[int, int]) -> None:
    optional, (in_memory, in_file) = at + 24, steps
    count = _number(image, at + 6, 2)
    header = optional + _number(image, at + 20, 2) + count * _SECTION_HEADER
    if header + _SECTION_HEADER > _number(image, optional + 60, 4):
        raise PeError("the stub has no room for another section")
    address = _up(_number(image, optional + 56, 4), in_memory)
    image.extend(bytes(_up(len(image), in_file) - len(image)))
    start, size = len(image), _up(len(content), in_file)
    image.extend(content + bytes(size - len(content)))
    fields = (len(content), address, size, start, 0, 0, 0, 0, _READ_DATA)
    struct.pack_into("<8sIIIIIIHHI", image, header, name.encode("ascii"), *fields)
    struct.pack_into("<H", image, at + 6, count + 1)
    initialized = _number(image, optional + 8, 4) + size
    struct.pack_into("<I", image, optional + 8, initialized)
    struct.pack_into("<I", image, optional + 56, _up(address + len(content), in_memory))


def _number(image: bytearray, at: int, size: int) -> int:
    return int.from_bytes(image[at : at + size], "little")


def _up(value: int, step: int) -> int:
    return -(-value // step) * step
