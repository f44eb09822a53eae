"""Writes an initial ramdisk (cpio, "newc"): no times, no owners, names in order."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_TRAILER: Final = "TRAILER!!!"


def write_cpio(tree: Path) -> bytes:
    """The folder `tree` as an archive: equal trees give equal bytes."""
    parts = []
    for number, (name, path) in enumerate(_entries(tree), start=1):
        status = path.lstat()
        if stat.S_ISDIR(status.st_mode):
            mode, content = stat.S_IFDIR | 0o755, b""
        elif stat.S_ISLNK(status.st_mode):
            mode, content = stat.S_IFLNK | 0o777, os.fsencode(path.readlink())
        else:
            runs = bool(status.st_mode & stat.S_IXUSR)
            mode, content = stat.S_IFREG | (0o755 if runs else 0o644), path.read_bytes()
        parts.append(_entry(number, name, mode, content))
    parts.append(_entry(0, _TRAILER, 0, b""))
    return b"".join(parts)


def _entries(tree: Path) -> Iterator[tuple[str, Path]]:
    found = {path.relative_to(tree).as_posix(): path for path in tree.rglob("*")}
    yield from sorted(found.items())


def _entry(number: int, name: str, mode: int, content: bytes) -> bytes:
    raw_name = os.fsencode(name) + b"\0"
    links = 2 if stat.S_ISDIR(mode) else 1
    fields = (number, mode, 0, 0, links, 0, len(content), 0, 0, 0, 0, len(raw_name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + raw_name
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
