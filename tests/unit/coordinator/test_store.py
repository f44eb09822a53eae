"""Ceilings, sweeping, and what a crash leaves."""

import random
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta

import pytest

from mc2.coordinator.refusals import NotFoundError, QuotaError
from mc2.coordinator.store import Party, Quotas, Store
from mc2.crypto.digest import digest
from mc2.errors import DatasetError, FormatError, JobError
from mc2.storage import ResultStorage

NOW = datetime(2026, 1, 31, tzinfo=UTC)
DAY = timedelta(days=1)


def put(store: Store, raw: bytes, party: str = "ada", now: datetime = NOW):
    store.put_blob(party, digest(raw), raw, now)
    return digest(raw)


@pytest.fixture
def store(tmp_path):
    found = Store(tmp_path, Quotas(party_bytes=100, party_objects=4, total_bytes=150, parties=2))
    yield found
    found.close()


def test_a_blob_is_counted_once(store):
    name = put(store, b"x" * 60)
    put(store, b"x" * 60, "bo")
    assert store.read_blob(name) == b"x" * 60
    assert store.blob_size(name) == 60
    put(store, b"y" * 40)
    with pytest.raises(QuotaError, match="ada has used up"):
        put(store, b"z")


def test_there_is_a_ceiling_for_all_and_one_on_objects(store):
    put(store, b"x" * 90)
    with pytest.raises(QuotaError, match="full"):
        put(store, b"y" * 61, "bo")
    for i in range(4):
        put(store, bytes([i]), "bo")
    with pytest.raises(QuotaError, match="bo has used up"):
        put(store, b"!", "bo")


def test_a_refused_blob_leaves_nothing(store, tmp_path):
    with pytest.raises(QuotaError):
        put(store, b"x" * 101)
    with pytest.raises(FormatError):
        store.put_blob("ada", digest(b"a"), b"b", NOW)
    assert list(store.blobs.walk()) == []
    assert list((tmp_path / "blobs" / "tmp").iterdir()) == []


def test_there_is_a_ceiling_on_parties(store):
    for name in ("ada", "bo"):
        store.add_party(Party(name, digest(name.encode()), digest(b"card"), b"card"))
    with pytest.raises(QuotaError, match="no more parties"):
        store.add_party(Party("cy", digest(b"cy"), digest(b"card"), b"card"))
    assert [p.name for p in store.parties()] == ["ada", "bo"]


def test_missing_lists_each_absent_name_once(store):
    there, absent = put(store, b"x"), digest(b"y")
    assert store.missing([absent, there, absent], NOW) == [absent]
    with pytest.raises(NotFoundError):
        store.read_blob(absent)


def test_a_damaged_blob_is_missing_and_can_be_sent_again(store):
    name = put(store, b"x" * 90)
    store.blobs.path(name).write_bytes(b"?")
    with pytest.raises(DatasetError, match="damaged"):
        store.read_blob(name)
    assert store.missing([name], NOW) == [name]
    put(store, b"x" * 90)  # and its room was given back
    store.blobs.path(name).unlink()
    with pytest.raises(NotFoundError):
        store.blob_path(name)
    assert store.missing([name], NOW) == [name]


def test_sweeping_removes_what_nothing_holds(store, tmp_path):
    used, unused, fresh = put(store, b"used"), put(store, b"unused"), put(store, b"fresh")
    assert store.hold("manifest", [used, digest(b"absent")]) == {used: 4}
    store.missing([fresh], NOW + 6 * DAY)  # somebody resumes an upload
    stray = digest(b"named, and then the power failed")
    path = store.blobs.path(stray)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"named, and then the power failed")
    assert store.sweep(NOW + 8 * DAY, 7 * DAY) == 1
    assert store.missing([used, unused, fresh], NOW) == [unused]
    assert sorted(store.blobs.walk()) == sorted([used, fresh])
    put(store, b"z" * 90)  # the room is free again


def test_results_stand_elsewhere(tmp_path):
    """Uploads stay in the folder; what nothing holds is removed, wherever it stands."""
    place = tmp_path / "results"
    store = Store(tmp_path / "data", results=ResultStorage(str(place)))
    held, left, upload = digest(b"held"), digest(b"left"), put(store, b"upload")
    for raw in (b"held", b"left", b"held"):
        store.put_result("ada", digest(raw), raw, NOW)
    assert list(store.blobs.walk()) == [upload]
    assert store.hold("a job", [held, upload]) == {held: 4, upload: 6}
    assert store.elsewhere(upload) is None
    assert store.elsewhere(held) == store.read_blob(held) == b"held"
    with pytest.raises(FormatError):
        store.put_result("ada", digest(b"a"), b"b", NOW)
    assert store.sweep(NOW + 8 * DAY, 7 * DAY) == 1
    assert [p.read_bytes() for p in place.rglob("*") if p.is_file()] == [b"held"]
    with pytest.raises(NotFoundError):
        store.read_blob(left)
    store.close()
    again = Store(tmp_path / "data")  # the operator took the option away
    assert again.read_blob(held) == b"held"
    again.close()


def test_a_storage_that_takes_no_results_leaves_nothing(tmp_path):
    (tmp_path / "file").write_bytes(b"no folder")
    store = Store(tmp_path / "data", results=ResultStorage(str(tmp_path / "file")))
    with pytest.raises(JobError, match="does not take"):
        store.put_result("ada", digest(b"x"), b"x", NOW)
    assert store.missing([digest(b"x")], NOW) == [digest(b"x")]
    assert store.database.integer("SELECT SUM(bytes) FROM usage") == 0
    store.close()


def test_sweeping_stops_when_told(store):
    put(store, b"one")
    assert store.sweep(NOW + 8 * DAY, 7 * DAY, lambda: True) == 0


WRITER = """
import sys, secrets
from datetime import UTC, datetime
from pathlib import Path
from mc2.coordinator.store import Store
from mc2.crypto.digest import digest
store = Store(Path(sys.argv[1]))
print("ready", flush=True)
while True:
    raw = secrets.token_bytes(secrets.randbelow(20000))
    name = digest(raw)
    store.put_blob("ada", name, raw, datetime.now(UTC))
    print(name, len(raw), flush=True)
"""


def test_whatever_was_acknowledged_survives_kill_9(tmp_path):
    acknowledged: dict[str, int] = {}
    dice = random.Random()
    for _ in range(4):
        writer = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
        time.sleep(dice.uniform(0.05, 0.4))
        writer.send_signal(signal.SIGKILL)
        for line in writer.stdout.read().splitlines():
            name, _, size = line.partition(" ")
            if size:  # the last line may be cut off
                acknowledged[name] = int(size)
        writer.stdout.close()
        writer.wait()
    assert acknowledged
    store = Store(tmp_path)
    assert store.missing(list(acknowledged), NOW) == []
    for name, size in acknowledged.items():
        assert len(store.read_blob(name)) == size
    listed = store.database.integer("SELECT COUNT(*) FROM blobs")
    assert listed - len(acknowledged) <= 4  # done, but the answer was cut off
    assert store.database.integer("SELECT objects FROM usage") == listed
    assert store.database.integer("SELECT bytes FROM usage") == store.database.integer(
        "SELECT SUM(size) FROM blobs"
    )
    store.sweep(NOW, DAY)
    assert len(list(store.blobs.walk())) == listed
    store.close()
