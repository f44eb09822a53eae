"""Sealed blobs at a path that several hosts share, or at a URL of object storage.

One file for each blob, named by its digest, in folders: one for each attempt that runs on Spark,
for blocks and chunks of inputs; and one for results, which recipients fetch from there. Storage is
any that fsspec knows. What is read is believed nothing: whoever reads compares digests.
"""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, Final, Protocol

from mc2.crypto.digest import Digest, digest, parse_digest, same_digest
from mc2.errors import DatasetError, JobError, UsageError

RESULTS: Final = "results"
"""The folder of results."""


class BlobStorage(Protocol):
    """Blobs by folder and digest. Thread-safe."""

    def put(self, folder: str, name: Digest, raw: bytes) -> None:
        """Keep a blob; it is there whole or not at all. Raises: OSError."""
        ...

    def link(self, folder: str, name: Digest, source: Path, read: Callable[[], bytes]) -> None:
        """Keep a blob that stands in a file of this host; `read` gives it. Raises: OSError."""
        ...

    def find(self, folder: str, name: Digest) -> bytes | None:
        """A blob, if it is there. Raises: OSError."""
        ...

    def remove(self, folder: str, name: Digest) -> None:
        """Remove a blob; again is no error. Raises: OSError."""
        ...

    def clear(self, folder: str) -> None:
        """Remove a folder; again is no error."""
        ...

    def folders(self) -> list[str]:
        """What folders there are. Raises: OSError."""
        ...


def open_storage(place: str) -> BlobStorage:
    """Storage at an absolute path or at a URL of fsspec's. Raises: UsageError."""
    if "://" not in place or place.startswith("file://"):
        path = Path(place.removeprefix("file://"))
        if not path.is_absolute():
            raise UsageError(
                f"{place} is no absolute path", hint="hosts do not share a working folder"
            )
        return FolderStorage(path)
    try:
        import fsspec

        system, root = fsspec.core.url_to_fs(place)
    except (ImportError, ValueError) as error:
        raise UsageError(
            f"there is no storage at {place}: {error}",
            hint="install fsspec and the package for this kind of storage",
        ) from None
    return ObjectStorage(system, root)


def _file_name(name: Digest) -> str:
    return parse_digest(name).removeprefix("sha256:")


class FolderStorage:
    """A folder that all hosts mount at the same path."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def put(self, folder: str, name: Digest, raw: bytes) -> None:
        """Keep a blob."""
        final = self._final(folder, name)
        part = final.with_suffix(f".{secrets.token_hex(8)}")
        part.write_bytes(raw)
        part.replace(final)

    def link(self, folder: str, name: Digest, source: Path, read: Callable[[], bytes]) -> None:
        """Keep a blob; a second name of the file where the file system allows one."""
        final = self._final(folder, name)
        try:
            os.link(source, final)
        except FileExistsError:
            return
        except OSError:
            self.put(folder, name, read())

    def find(self, folder: str, name: Digest) -> bytes | None:
        """A blob, if it is there."""
        try:
            return (self._root / folder / _file_name(name)).read_bytes()
        except FileNotFoundError:
            return None

    def remove(self, folder: str, name: Digest) -> None:
        """Remove a blob."""
        (self._root / folder / _file_name(name)).unlink(missing_ok=True)

    def clear(self, folder: str) -> None:
        """Remove a folder."""
        shutil.rmtree(self._root / folder, ignore_errors=True)

    def folders(self) -> list[str]:
        """What folders there are."""
        return [p.name for p in self._root.iterdir()] if self._root.exists() else []

    def _final(self, folder: str, name: Digest) -> Path:
        path = self._root / folder / _file_name(name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return path


class ObjectStorage:
    """A bucket, or whatever else fsspec reaches: each object appears whole."""

    def __init__(self, system: Any, root: str) -> None:
        self._system = system
        self._root = root.rstrip("/")

    def put(self, folder: str, name: Digest, raw: bytes) -> None:
        """Keep a blob."""
        self._system.pipe_file(self._path(folder, name), raw)

    def link(self, folder: str, name: Digest, source: Path, read: Callable[[], bytes]) -> None:
        """Keep a blob: a copy, since the file is on this host alone."""
        del source
        self.put(folder, name, read())

    def find(self, folder: str, name: Digest) -> bytes | None:
        """A blob, if it is there."""
        try:
            return bytes(self._system.cat_file(self._path(folder, name)))
        except FileNotFoundError:
            return None

    def remove(self, folder: str, name: Digest) -> None:
        """Remove a blob."""
        with suppress(FileNotFoundError):
            self._system.rm_file(self._path(folder, name))

    def clear(self, folder: str) -> None:
        """Remove a folder."""
        self._system.invalidate_cache()  # other hosts have written since it last looked
        try:
            self._system.rm(f"{self._root}/{folder}", recursive=True)
        except FileNotFoundError:
            return

    def folders(self) -> list[str]:
        """What folders there are."""
        self._system.invalidate_cache()
        try:
            found = self._system.ls(self._root, detail=False)
        except FileNotFoundError:
            return []
        return [str(path).rstrip("/").rpartition("/")[2] for path in found]

    def _path(self, folder: str, name: Digest) -> str:
        return f"{self._root}/{folder}/{_file_name(name)}"


class ResultStorage:
    """Sealed chunks of results, which a coordinator writes and recipients read.

    Whoever runs the storage may lose them, and nothing else: a proof names each by its digest.
    """

    def __init__(self, place: str) -> None:
        self.place = place
        """Its path or URL."""
        self._storage = open_storage(place)

    def put(self, name: Digest, raw: bytes) -> None:
        """Keep a chunk. Raises: JobError if the storage does not take it."""
        try:
            self._storage.put(RESULTS, name, raw)
        except Exception as error:  # noqa: BLE001  each kind of storage has errors of its own
            raise JobError(
                f"{self.place} does not take a result: {type(error).__name__}",
                hint="its operator looks at the storage's address, permissions and room",
            ) from None

    def get(self, name: Digest) -> bytes:
        """A chunk. Raises: DatasetError if it is not there, or not what was put there."""
        try:
            raw = self._storage.find(RESULTS, name)
        except Exception as error:  # noqa: BLE001  each kind of storage has errors of its own
            raise DatasetError(
                f"{self.place} does not give {name}: {type(error).__name__}",
                hint="see whether the storage is there, and lets you read",
            ) from None
        if raw is None:
            raise DatasetError(
                f"{self.place} has lost {name}, or never had it",
                hint="ask for it without --storage; if it is gone, run the job again",
            )
        if not same_digest(digest(raw), name):
            raise DatasetError(
                f"what {self.place} gives for {name} are other bytes",
                hint="whoever can write there altered a result: run the job again",
            )
        return raw

    def remove(self, name: Digest) -> None:
        """Remove a chunk; again is no error. Raises: JobError if the storage does not answer."""
        try:
            self._storage.remove(RESULTS, name)
        except Exception as error:  # noqa: BLE001  each kind of storage has errors of its own
            raise JobError(f"{self.place} does not remove: {type(error).__name__}") from None
