"""Where ciphertext goes and comes from: sealed chunks under their digests."""

from __future__ import annotations

import os
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from mc2.client.coordinator import Coordinator
from mc2.crypto.digest import Digest, digest
from mc2.errors import DatasetError

_FILE_MODE: Final = 0o600
_ASK_AT_ONCE: Final = 1000


class BlobSink(Protocol):
    """Takes ciphertext. `put` may be called by several threads at once."""

    def has(self, names: Sequence[Digest]) -> frozenset[Digest]:
        """Which of some blobs are there already."""
        ...

    def put(self, name: Digest, raw: bytes | memoryview) -> None:
        """Store a blob; again is no error. `raw` is valid only during the call."""
        ...


class FolderBlobs:
    """Blobs as files of a folder that exists, named by the hex digits of their digests."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def has(self, names: Sequence[Digest]) -> frozenset[Digest]:
        """Which of some blobs are there already."""
        return frozenset(name for name in names if self._path(name).exists())

    def put(self, name: Digest, raw: bytes | memoryview) -> None:
        """Store a blob; a reader finds it whole or not at all.

        It is not forced to the disk: whoever reads it after a crash checks its digest.
        """
        draft = self._folder / f".{secrets.token_hex(8)}.part"
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, _FILE_MODE)
        with os.fdopen(handle, "wb", buffering=0) as file:
            left = memoryview(raw)
            while left:
                left = left[file.write(left) :]
        draft.replace(self._path(name))

    def get(self, name: Digest) -> bytes:
        """Fetch a blob. Raises: DatasetError if it is not there or not what it was."""
        try:
            raw = self._path(name).read_bytes()
        except FileNotFoundError:
            raw = b""
        if digest(raw) != name:
            raise DatasetError(
                f"blob {name} is missing from {self._folder} or damaged",
                hint="seal the dataset again; nothing of it was published",
            )
        return raw

    def _path(self, name: Digest) -> Path:
        return self._folder / name.removeprefix("sha256:")


class CoordinatorBlobs:
    """Blobs at a coordinator."""

    def __init__(self, coordinator: Coordinator) -> None:
        self._coordinator = coordinator

    def has(self, names: Sequence[Digest]) -> frozenset[Digest]:
        """Which of some blobs are there already, as the coordinator says.

        A lie costs the upload and nothing else: a missing chunk is noticed by its digest.
        """
        found: set[Digest] = set(names)
        for start in range(0, len(names), _ASK_AT_ONCE):
            found.difference_update(self._coordinator.missing(names[start : start + _ASK_AT_ONCE]))
        return frozenset(found)

    def put(self, name: Digest, raw: bytes | memoryview) -> None:
        """Store a blob."""
        self._coordinator.put_blob(name, bytes(raw))
