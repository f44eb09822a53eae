"""Transactions are all or nothing, and migrations run once."""

import sqlite3
import threading

import pytest

from mc2.coordinator.database import MIGRATIONS, Database
from mc2.errors import CoordinatorError


def test_it_is_as_durable_as_sqlite_can_be(tmp_path):
    database = Database(tmp_path / "db")
    assert database.value("PRAGMA journal_mode") == "wal"
    assert database.integer("PRAGMA synchronous") == 2  # FULL
    assert (tmp_path / "db").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "db-wal").stat().st_mode & 0o777 == 0o600
    database.close()


def test_migrations_run_once_and_are_recorded(tmp_path):
    for _ in range(2):
        database = Database(tmp_path / "db")
        rows = database.rows("SELECT version, name FROM migrations")
        assert [(r["version"], r["name"]) for r in rows] == [
            (i + 1, name) for i, (name, _) in enumerate(MIGRATIONS)
        ]
        database.close()


def test_a_newer_folder_is_refused(tmp_path):
    database = Database(tmp_path / "db")
    database.run("INSERT INTO migrations VALUES (?, 'of the future')", len(MIGRATIONS) + 1)
    database.close()
    with pytest.raises(CoordinatorError, match="newer mc2"):
        Database(tmp_path / "db")


def test_a_failed_transaction_leaves_nothing(tmp_path):
    database = Database(tmp_path / "db")

    def insert_and_fail() -> None:
        with database.transaction():
            database.run("INSERT INTO plans VALUES ('a', x'00')")
            raise KeyError

    def insert_a_part_and_fail() -> None:
        with database.transaction():
            with database.transaction():
                database.run("INSERT INTO plans VALUES ('a', x'00')")
            raise KeyError

    for act in (insert_and_fail, insert_a_part_and_fail):
        with pytest.raises(KeyError):
            act()
        assert database.integer("SELECT COUNT(*) FROM plans") == 0
    with database.transaction():
        database.run("INSERT INTO plans VALUES ('a', x'00')")
    assert database.integer("SELECT COUNT(*) FROM plans") == 1
    database.close()


def test_wrong_types_do_not_get_in(tmp_path):
    database = Database(tmp_path / "db")
    with pytest.raises(sqlite3.IntegrityError):
        database.run("INSERT INTO blobs VALUES ('a', 'many', 'ada', 1, '')")
    database.close()


def test_events_grow_across_threads_and_restarts(tmp_path):
    database = Database(tmp_path / "db")
    found: list[int] = []

    def draw() -> None:
        for _ in range(20):
            with database.transaction():
                found.append(database.next_event())

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == list(range(1, 81))
    database.close()
    again = Database(tmp_path / "db")
    with again.transaction():
        assert again.next_event() == 81
    again.close()
