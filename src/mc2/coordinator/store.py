"""What a coordinator keeps: signed objects in a database, sealed chunks in a folder.

Chunks of results may stand in a storage of their own (ADR 58); the database knows which do.

Whatever a method here has returned from is on disk. Nothing is judged here but ceilings: what an
object says, and whether it may come in, is for the rules that call this.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from mc2.coordinator.blobs import BlobFolder, BlobWriter
from mc2.coordinator.database import Database
from mc2.coordinator.refusals import NotFoundError, QuotaError
from mc2.crypto.digest import Digest, digest
from mc2.errors import DatasetError, FormatError, JobError
from mc2.storage import ResultStorage

_log = logging.getLogger(__name__)

_MOST_VARIABLES: Final = 500  # of one SQL statement
_TOUCH_SECONDS: Final = 24 * 3600  # how exactly the last use of a blob is known


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """Ceilings on what is kept: bytes, and numbers of objects (blobs and signed objects)."""

    party_bytes: int = 256 << 30
    party_objects: int = 1_000_000
    total_bytes: int = 1 << 40
    parties: int = 1024


@dataclass(frozen=True, slots=True)
class Party:
    """An enrolled party: its signed card, and the names of its key and of the card."""

    name: str
    key_id: Digest
    card_digest: Digest
    card: bytes


class Store:
    """A folder that survives kill -9: `coordinator.db` and `blobs/`."""

    def __init__(
        self, folder: Path, quotas: Quotas | None = None, results: ResultStorage | None = None
    ) -> None:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.database = Database(folder / "coordinator.db")
        self.blobs = BlobFolder(folder / "blobs")
        self.quotas = quotas or Quotas()
        self._results = results
        self._places: dict[str, ResultStorage] = {}

    def close(self) -> None:
        """Let go of the files."""
        self.database.close()

    # --- parties ---

    def party(self, name: str) -> Party | None:
        """An enrolled party by its name."""
        return self._party("SELECT * FROM parties WHERE name = ?", name)

    def party_by_key(self, key_id: Digest) -> Party | None:
        """An enrolled party by the name of its signing key."""
        return self._party("SELECT * FROM parties WHERE key_id = ?", key_id)

    def _party(self, query: str, value: str) -> Party | None:
        row = self.database.row(query, value)
        if row is None:
            return None
        return Party(row["name"], row["key_id"], row["digest"], row["card"])

    def parties(self) -> list[Party]:
        """All enrolled parties, by name."""
        rows = self.database.rows("SELECT * FROM parties ORDER BY name")
        return [Party(r["name"], r["key_id"], r["digest"], r["card"]) for r in rows]

    def add_party(self, party: Party) -> None:
        """Enrol a party. Raises: QuotaError if there are too many."""
        with self.database.transaction():
            if self.database.integer("SELECT COUNT(*) FROM parties") >= self.quotas.parties:
                raise QuotaError("no more parties can be enrolled here")
            self.database.run(
                "INSERT INTO parties (name, key_id, digest, card) VALUES (?, ?, ?, ?)",
                party.name,
                party.key_id,
                party.card_digest,
                party.card,
            )

    # --- ceilings ---

    def charge(self, party: str, size: int) -> None:
        """Count one object of some bytes to a party. Raises: QuotaError."""
        with self.database.transaction():
            self.check_room(party, size)
            self.database.run(
                "INSERT INTO usage VALUES (?, ?, 1) ON CONFLICT (party) "
                "DO UPDATE SET bytes = bytes + excluded.bytes, objects = objects + 1",
                party,
                size,
            )

    def check_room(self, party: str, size: int) -> None:
        """Refuse what would not fit any more. Raises: QuotaError."""
        row = self.database.row("SELECT bytes, objects FROM usage WHERE party = ?", party)
        used, objects = (row["bytes"], row["objects"]) if row else (0, 0)
        if used + size > self.quotas.party_bytes or objects >= self.quotas.party_objects:
            raise QuotaError(
                f"{party} has used up what this coordinator keeps for one party",
                hint="ask its operator for more room",
            )
        total = self.database.integer("SELECT COALESCE(SUM(bytes), 0) FROM usage")
        if total + size > self.quotas.total_bytes:
            raise QuotaError("this coordinator is full", hint="ask its operator for more room")

    # --- blobs ---

    @contextmanager
    def receive(self, party: str, name: Digest, now: datetime) -> Iterator[BlobWriter]:
        """Take in a blob piece by piece; it is kept when the block ends without an error.

        Raises: FormatError if the bytes have another digest; QuotaError.
        """
        with self.blobs.writer(name) as writer:
            yield writer
            writer.flush()
            # Naming the file and listing it are one step for everybody else: `sweep` would take
            # a file that is named and not listed for the left-over of a crash.
            with self.database.transaction():
                if not self._touch(name, now):
                    self._list(party, name, writer.size, now)
                writer.settle()

    def _list(self, party: str, name: Digest, size: int, now: datetime, place: str = "") -> None:
        """Count and list a blob; `place`: the storage where it stands. Raises: QuotaError."""
        self.charge(party, size)
        self.database.run(
            "INSERT INTO blobs (digest, size, party, touched, place) VALUES (?, ?, ?, ?, ?)",
            name,
            size,
            party,
            int(now.timestamp()),
            place,
        )

    def put_blob(self, party: str, name: Digest, raw: bytes | memoryview, now: datetime) -> None:
        """Take in a blob. Raises: as `receive`."""
        with self.receive(party, name, now) as writer:
            writer.write(raw)

    def put_result(self, party: str, name: Digest, raw: bytes, now: datetime) -> None:
        """Take in a chunk of a result, into the storage of results if there is one.

        Raises: as `receive`; JobError if that storage does not take it.
        """
        if self._results is None:
            self.put_blob(party, name, raw, now)
            return
        if digest(raw) != name:
            raise FormatError("an enclave named a chunk by another digest than it has")
        with self.database.transaction():
            if self._touch(name, now):
                return
            self._list(party, name, len(raw), now, self._results.place)
        try:
            self._results.put(name, raw)
        except JobError:
            self._drop(name)
            raise

    def elsewhere(self, name: Digest) -> bytes | None:
        """A blob that stands in a storage of results; None if it stands here.

        Raises: NotFoundError; DatasetError if that storage does not give it.
        """
        self.blob_size(name)
        place = self.database.value("SELECT place FROM blobs WHERE digest = ?", name)
        return self._storage(place).get(name) if place else None

    def _storage(self, place: str) -> ResultStorage:
        """A storage of results: the present one, or one before it."""
        if place not in self._places:
            self._places[place] = ResultStorage(place)
        return self._places[place]

    def read_blob(self, name: Digest) -> bytes:
        """A blob's bytes. Raises: NotFoundError; DatasetError if the disk damaged it."""
        if (raw := self.elsewhere(name)) is not None:
            return raw
        try:
            return self.blobs.read(name)
        except DatasetError:
            self._drop(name)  # so that `missing` lists it, and its owner can send it again
            raise

    def blob_path(self, name: Digest) -> Path:
        """The file of a blob. Raises: NotFoundError."""
        self.blob_size(name)
        path = self.blobs.path(name)
        if not path.is_file():
            self._drop(name)
            self.blob_size(name)
        return path

    def blob_size(self, name: Digest) -> int:
        """A blob's size in bytes. Raises: NotFoundError."""
        size = self.database.value("SELECT size FROM blobs WHERE digest = ?", name)
        if size is None:
            raise NotFoundError(
                f"there is no blob {name}",
                hint="of a dataset: its owner uploads it; of a result: run the job again",
            )
        return int(size)

    def missing(self, names: Sequence[Digest], now: datetime) -> list[Digest]:
        """Those that are not here. Those that are, will not be swept for another while."""
        with self.database.transaction():
            return [name for name in dict.fromkeys(names) if not self._touch(name, now)]

    def _touch(self, name: Digest, now: datetime) -> bool:
        touched = self.database.value("SELECT touched FROM blobs WHERE digest = ?", name)
        if touched is not None and touched < now.timestamp() - _TOUCH_SECONDS:
            self.database.run(
                "UPDATE blobs SET touched = ? WHERE digest = ?", int(now.timestamp()), name
            )
        return touched is not None

    def hold(self, holder: str, names: Iterable[Digest]) -> dict[Digest, int]:
        """Keep some blobs for as long as `holder` exists; the sizes of those that are here."""
        rows = [(name, holder) for name in set(names)]
        with self.database.transaction():
            self.database.run_many("INSERT OR IGNORE INTO holds VALUES (?, ?)", rows)
            found: dict[Digest, int] = {}
            for start in range(0, len(rows), _MOST_VARIABLES):
                part = [name for name, _ in rows[start : start + _MOST_VARIABLES]]
                marks = ", ".join("?" * len(part))
                query = f"SELECT digest, size FROM blobs WHERE digest IN ({marks})"  # noqa: S608  marks only
                found |= {Digest(r["digest"]): r["size"] for r in self.database.rows(query, *part)}
            return found

    def sweep(
        self, now: datetime, unused: timedelta, stop: Callable[[], bool] = lambda: False
    ) -> int:
        """Remove blobs that nothing holds and nobody asked for in a while; how many.

        They are what is left of uploads that were broken off: sealing again makes other chunks.
        It ends early when `stop` says so.
        """
        before = int((now - unused).timestamp())
        stale = self.database.rows(
            "SELECT digest FROM blobs WHERE touched < ? "
            "AND NOT EXISTS (SELECT 1 FROM holds WHERE blob = digest)",
            before,
        )
        removed = 0
        for row in stale:
            if stop():
                return removed
            self._drop(row["digest"], touched_before=before)
            removed += 1
        for name in self.blobs.walk():
            if stop():
                break
            self._remove_if_unlisted(name)
        return removed

    def _drop(self, name: Digest, touched_before: int = 1 << 62) -> None:
        with self.database.transaction():
            rows = self.database.rows(
                "DELETE FROM blobs WHERE digest = ? AND touched < ? RETURNING size, party, place",
                name,
                touched_before,
            )
            for row in rows:
                self.database.run(
                    "UPDATE usage SET bytes = bytes - ?, objects = objects - 1 WHERE party = ?",
                    row["size"],
                    row["party"],
                )
        # Only now: a file must never go while the list on disk still has it.
        self._remove_if_unlisted(name)
        for place in filter(None, (row["place"] for row in rows)):
            try:
                self._storage(place).remove(name)
            except JobError as error:
                _log.warning("a sealed chunk that nobody needs is left: %s", error)

    def _remove_if_unlisted(self, name: Digest) -> None:
        with self.database.transaction():  # so that nobody lists it meanwhile
            if self.database.value("SELECT 1 FROM blobs WHERE digest = ?", name) is None:
                self.blobs.remove(name)
