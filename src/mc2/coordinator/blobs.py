"""Sealed chunks in a folder, each in a file named by its digest.

A file is there whole or not at all: it is written under another name, flushed to disk, and only
then given its own; the folder is flushed too, before anybody is told. A crash at any point leaves
at most a temporary file, which the next start removes.

::

    blobs/3f/a1/3fa1c0…   two levels of folders, so that none grows too large
    blobs/tmp/…           being written
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Final, Self

from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, FormatError

_FOLDER_MODE: Final = 0o700
_FILE_MODE: Final = 0o600


class BlobFolder:
    """Files named by the digest of what is in them."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._temporary = root / "tmp"
        self._durable: set[Path] = set()
        self._temporary.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        for left_over in self._temporary.iterdir():  # by a crash; nobody was told of these
            left_over.unlink()

    def path(self, name: Digest) -> Path:
        """Where a blob is, or would be."""
        text = name.removeprefix("sha256:")
        return self._root / text[:2] / text[2:4] / text

    def writer(self, name: Digest) -> BlobWriter:
        """Begin to write a blob."""
        return BlobWriter(name, self._temporary / secrets.token_hex(16), self._settle)

    def _settle(self, temporary: Path, name: Digest) -> None:
        """Give a flushed file its own name, and make that last."""
        final = self.path(name)
        for folder in (final.parent.parent, final.parent):
            if folder not in self._durable:  # even if it exists: its maker may not be done yet
                folder.mkdir(mode=_FOLDER_MODE, exist_ok=True)
                _flush_folder(folder.parent)
                self._durable.add(folder)
        temporary.rename(final)
        _flush_folder(final.parent)

    def read(self, name: Digest) -> bytes:
        """Read a blob. Raises: DatasetError if it is not there, or was damaged on disk."""
        try:
            raw = self.path(name).read_bytes()
        except FileNotFoundError:
            raise DatasetError(f"there is no blob {name}") from None
        if hashlib.sha256(raw).hexdigest() != name.removeprefix("sha256:"):
            raise DatasetError(f"the blob {name} is damaged on disk", hint="upload it again")
        return raw

    def remove(self, name: Digest) -> None:
        """Forget a blob; again is no error."""
        self.path(name).unlink(missing_ok=True)

    def walk(self) -> Iterator[Digest]:
        """The names of all blobs on disk."""
        for path in self._root.glob("[0-9a-f][0-9a-f]/[0-9a-f][0-9a-f]/*"):
            yield Digest("sha256:" + path.name)


class BlobWriter:
    """Writes one blob under a temporary name; without `settle`, leaving it removes everything."""

    def __init__(
        self, name: Digest, temporary: Path, settle: Callable[[Path, Digest], None]
    ) -> None:
        self._name = name
        self._temporary = temporary
        self._settle = settle
        self._hash = hashlib.sha256()
        self._file: BinaryIO | None = None
        self.size = 0

    def __enter__(self) -> Self:
        descriptor = os.open(
            self._temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE
        )
        self._file = os.fdopen(descriptor, "wb", buffering=0)
        return self

    def write(self, raw: bytes | memoryview) -> None:
        """Append some bytes."""
        if self._file is None:
            raise RuntimeError("write to a blob that is not open")
        rest = memoryview(raw)
        self._hash.update(rest)
        self.size += len(rest)
        while rest:
            rest = rest[self._file.write(rest) :]

    def flush(self) -> None:
        """Have the bytes on disk, still under no name. Raises: FormatError for another digest."""
        if self._file is None:
            raise RuntimeError("flush of a blob that is not open")
        if self._hash.hexdigest() != self._name.removeprefix("sha256:"):
            raise FormatError(
                "the bytes do not have the digest that they were sent under",
                hint="send them again; if it happens again, something alters them on the way",
            )
        os.fsync(self._file.fileno())
        self._close()

    def settle(self) -> None:
        """Make the blob durable under its name; `flush` comes first."""
        if self._file is not None:
            raise RuntimeError("flush comes before settle")
        self._settle(self._temporary, self._name)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()
        self._temporary.unlink(missing_ok=True)


def _flush_folder(folder: Path) -> None:
    """A new name is durable only when the folder that holds it is on disk too."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
