"""The coordinator's SQLite database: one connection, real durability, numbered migrations.

WAL with `synchronous=FULL`: when a transaction has returned, it survives the death of the process
and of the machine. One connection under one lock keeps writers in line; what is slow, the bytes
of chunks, is not in here.
"""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, TypeAlias

from mc2.errors import CoordinatorError

Row: TypeAlias = sqlite3.Row
Value: TypeAlias = str | int | float | bytes | None

# Never edited once released: a change is a new entry. An entry is (name, statements).
MIGRATIONS: Final[tuple[tuple[str, str], ...]] = (
    (
        "first tables",
        """
        CREATE TABLE parties (
            name TEXT PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, digest TEXT NOT NULL,
            card BLOB NOT NULL
        ) STRICT;
        CREATE TABLE contracts (
            digest TEXT PRIMARY KEY, envelope BLOB NOT NULL, event INTEGER NOT NULL
        ) STRICT;
        CREATE TABLE members (
            party TEXT NOT NULL, contract TEXT NOT NULL, card TEXT NOT NULL,
            PRIMARY KEY (party, contract)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE usage (
            party TEXT PRIMARY KEY, bytes INTEGER NOT NULL, objects INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE blobs (
            digest TEXT PRIMARY KEY, size INTEGER NOT NULL, party TEXT NOT NULL,
            touched INTEGER NOT NULL
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE holds (
            blob TEXT NOT NULL, holder TEXT NOT NULL, PRIMARY KEY (blob, holder)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE manifests (
            digest TEXT PRIMARY KEY, dataset TEXT NOT NULL, owner TEXT NOT NULL,
            version INTEGER NOT NULL, envelope BLOB NOT NULL, UNIQUE (dataset, version)
        ) STRICT;
        CREATE TABLE plans (digest TEXT PRIMARY KEY, raw BLOB NOT NULL) STRICT;
        CREATE TABLE jobs (
            number INTEGER PRIMARY KEY, job_id TEXT NOT NULL UNIQUE, contract TEXT NOT NULL,
            plan TEXT NOT NULL, proposer TEXT NOT NULL, proposal BLOB NOT NULL,
            approvers TEXT NOT NULL, owners TEXT NOT NULL, state INTEGER NOT NULL,
            attempt INTEGER NOT NULL, event INTEGER NOT NULL,
            error_code TEXT NOT NULL, error TEXT NOT NULL
        ) STRICT;
        CREATE INDEX jobs_by_contract ON jobs (contract);
        CREATE TABLE inputs (
            job_id TEXT NOT NULL, dataset TEXT NOT NULL, manifest TEXT NOT NULL,
            PRIMARY KEY (job_id, dataset)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE statements (
            job_id TEXT NOT NULL, kind TEXT NOT NULL, member TEXT NOT NULL,
            envelope BLOB NOT NULL, PRIMARY KEY (job_id, kind, member)
        ) STRICT;
        CREATE TABLE attempts (
            job_id TEXT NOT NULL, attempt INTEGER NOT NULL, phase TEXT NOT NULL,
            ended INTEGER NOT NULL, since INTEGER NOT NULL, progress TEXT NOT NULL,
            error_code TEXT NOT NULL, error TEXT NOT NULL, PRIMARY KEY (job_id, attempt)
        ) STRICT, WITHOUT ROWID;
        CREATE TABLE messages (
            job_id TEXT NOT NULL, attempt INTEGER NOT NULL, kind TEXT NOT NULL,
            name TEXT NOT NULL, raw BLOB NOT NULL, PRIMARY KEY (job_id, attempt, kind, name)
        ) STRICT;
        CREATE TABLE events (newest INTEGER NOT NULL) STRICT;
        INSERT INTO events VALUES (0);
        """,
    ),
    (
        "kept results",
        """
        CREATE TABLE kept (
            digest TEXT PRIMARY KEY, dataset TEXT NOT NULL, contract TEXT NOT NULL,
            owners TEXT NOT NULL, raw BLOB NOT NULL
        ) STRICT;
        """,
    ),
    ("attempts in numbers", "ALTER TABLE attempts ADD COLUMN metrics BLOB NOT NULL DEFAULT x''"),
    ("results elsewhere", "ALTER TABLE blobs ADD COLUMN place TEXT NOT NULL DEFAULT ''"),
)


class Database:
    """Transactions over one SQLite file. Threads take turns."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.RLock()
        self._inside = False
        path.touch(mode=0o600)  # SQLite gives the same mode to the files beside it
        self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._connection.row_factory = sqlite3.Row
        for pragma in (
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
            "trusted_schema=OFF",
        ):
            self._connection.execute(f"PRAGMA {pragma}")
        self._migrate()

    def _migrate(self) -> None:
        with self.transaction():
            self.run(
                "CREATE TABLE IF NOT EXISTS migrations ("
                "version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT"
            )
            done = self.integer("SELECT COALESCE(MAX(version), 0) FROM migrations")
            if done > len(MIGRATIONS):
                raise CoordinatorError(
                    f"this folder was written by a newer mc2 (schema {done})",
                    hint="start the coordinator with that version of mc2",
                )
            for version, (name, script) in enumerate(MIGRATIONS[done:], start=done + 1):
                for statement in script.split(";"):
                    if statement.strip():
                        self.run(statement)
                self.run("INSERT INTO migrations VALUES (?, ?)", version, name)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All or nothing, and durable at the end. Inside another one, a part of that one."""
        with self._lock:
            if self._inside:
                yield
                return
            self._connection.execute("BEGIN IMMEDIATE")
            self._inside = True
            try:
                yield
                self._connection.execute("COMMIT")
            finally:
                self._inside = False
                if self._connection.in_transaction:  # something failed, maybe the commit itself
                    self._connection.execute("ROLLBACK")

    def run(self, statement: str, *values: Value) -> int:
        """Execute a statement; how many rows it changed."""
        with self._lock:
            return self._connection.execute(statement, values).rowcount

    def run_many(self, statement: str, rows: Sequence[tuple[Value, ...]]) -> None:
        """Execute a statement for each of some rows of values."""
        with self._lock:
            self._connection.executemany(statement, rows)

    def rows(self, query: str, *values: Value) -> list[Row]:
        """All rows of a query."""
        with self._lock:
            return self._connection.execute(query, values).fetchall()

    def row(self, query: str, *values: Value) -> Row | None:
        """The first row of a query, if there is one."""
        with self._lock:
            found: Row | None = self._connection.execute(query, values).fetchone()
            return found

    def value(self, query: str, *values: Value) -> Any:
        """The first value of the first row, or None."""
        row = self.row(query, *values)
        return None if row is None else row[0]

    def integer(self, query: str, *values: Value) -> int:
        """The first value of the first row, which is an integer; 0 if there is no row."""
        return int(self.value(query, *values) or 0)

    def next_event(self) -> int:
        """A number greater than all before, also after a restart. Call inside a transaction."""
        self.run("UPDATE events SET newest = newest + 1")
        return self.integer("SELECT newest FROM events")

    def close(self) -> None:
        """Close the file. Everything is on disk already."""
        with self._lock:
            self._connection.close()
