"""A party's endorsement cache: vendors' certificates, lists and statements, kept at home.

Evidence often comes without them, or with old ones. Files are named by their digest beside an
index; everything was verified before it came in, and verification of evidence checks it again.
No network here: `mc2.client.endorsements_fetch` asks vendors, and only `mc2 endorsements fetch`
calls it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mc2.client.durable import locked, make_private_folder, read_file, replace_file
from mc2.client.endorsements_index import INDEX_BYTES, Endorsement, Entry, Index
from mc2.crypto.digest import Digest, digest
from mc2.errors import AttestationError

FOLDER: Final = "endorsements"
"""The cache's folder in a party's home."""

FILE_BYTES: Final = 1024 * 1024  # the largest revocation list that is read at all
SOON: Final = timedelta(days=7)
"""Endorsements that end within this time are to be fetched again."""


class EndorsementCache:
    """The cache in one folder; it need not exist until something is kept."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._index_file = folder / "index.json"
        self._read_last: tuple[tuple[int, int, int], Index] | None = None

    def index(self) -> Index:
        """What is here, by whichever process it was kept. Raises: FormatError if it is damaged."""
        try:
            found = self._index_file.stat()
        except FileNotFoundError:
            return Index()
        # Each index is a new file that took the name of the one before.
        version = (found.st_ino, found.st_mtime_ns, found.st_size)
        if self._read_last is None or self._read_last[0] != version:
            self._read_last = version, Index.parse(read_file(self._index_file, INDEX_BYTES))
        return self._read_last[1]

    def keep(
        self, found: Iterable[Endorsement], *, now: datetime, source: str
    ) -> tuple[Endorsement, ...]:
        """Keep endorsements durably: all of them or none; those that were kept.

        `found` was verified by the caller; `source` says to people where it came from.

        Raises: AttestationError for a rollback.
        """
        verified = tuple(found)
        if not self._folder.parent.exists():
            make_private_folder(self._folder.parent)  # a home, and keys will live there
        make_private_folder(self._folder)
        with locked(self._folder / "lock"):
            index = self.index().with_kept(verified, now=now, source=source)
            make_private_folder(self._folder / "files")
            for endorsement in verified:
                for raw in endorsement.contents.values():
                    replace_file(self._file(digest(raw)), raw)
            # Last: an index never names a file that a crash could have kept from the disk.
            replace_file(self._index_file, index.encode())
        return verified

    def contents(self, entry: Entry) -> Mapping[str, bytes]:
        """The parts of an entry. Raises: AttestationError if they are missing or damaged."""
        return {name: self._read(name, entry, file) for name, file in entry.files.items()}

    def usable(self, subject: str, at: datetime) -> Mapping[str, bytes] | None:
        """The parts of the newest endorsement that is valid at `at`.

        Raises: AttestationError, FormatError if the cache is damaged.
        """
        entry = self.index().usable(subject, at)
        return None if entry is None else self.contents(entry)

    def _read(self, name: str, entry: Entry, file: Digest) -> bytes:
        try:
            raw = read_file(self._file(file), FILE_BYTES)
        except FileNotFoundError:
            raw = b""
        if digest(raw) != file:
            raise AttestationError(
                f"{name} of {entry.subject} in the endorsement cache is missing or damaged",
                hint="fetch it again: mc2 endorsements fetch",
            )
        return raw

    def _file(self, name: Digest) -> Path:
        return self._folder / "files" / name.replace(":", "-")
