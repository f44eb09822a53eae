"""The way of a sealed table to a coordinator, with every interruption that one can name."""

import re
import shutil
from contextlib import suppress
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from pyarrow import parquet
from tests.support.tables import NOW, OWNER, SECRET

from mc2.client.blobs import CoordinatorBlobs, FolderBlobs
from mc2.client.data_key import open_own_table
from mc2.client.durable import locked
from mc2.client.identity import Identity
from mc2.client.outbox import Outbox
from mc2.client.seal import NewVersion, SealOptions
from mc2.client.sources.open import open_source
from mc2.crypto.digest import digest
from mc2.errors import CoordinatorError, DatasetError, FormatError
from mc2.formats.envelope import Envelope, PayloadType
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest

TABLE = pa.table({"mark": [f"plaintext-mark-{i}" for i in range(100)]})
VERSION = NewVersion(dataset="ada.table", version=3, created=NOW)
OPTIONS = SealOptions(rows_per_chunk=10, compression="none")


class Mailbox:
    """A coordinator's part in an upload; breaks off when its patience is at an end."""

    def __init__(self, patience=1000):
        self.blobs, self.manifests, self.patience, self.puts = {}, {}, patience, 0

    def missing(self, names):
        return [n for n in names if n not in self.blobs]

    def put_blob(self, name, raw):
        if self.puts == self.patience:
            raise CoordinatorError("the line is dead")
        self.puts += 1
        assert digest(raw) == name
        self.blobs[name] = raw

    def put_manifest(self, envelope):
        signed = Envelope.parse(envelope, PayloadType.MANIFEST, LIMITS.manifest_bytes)
        self.manifests[signed.payload_digest] = envelope
        return signed.payload_digest


@pytest.fixture
def outbox(tmp_path):
    return Outbox(tmp_path / "outbox")


def fill(outbox):
    return outbox.seal(open_source(TABLE), VERSION, OWNER, OPTIONS)


def files(tmp_path):
    return {p for p in (tmp_path / "outbox").rglob("*") if p.is_file()}


def test_a_table_goes_out_and_leaves_nothing(outbox, tmp_path):
    sealed = fill(outbox)
    mailbox = Mailbox()
    told = []
    name = outbox.parcel("ada.table", 3).publish(mailbox, lambda *step: told.append(step))
    assert name == sealed.digest
    assert list(mailbox.manifests) == [name]
    opened = pa.Table.from_batches(
        open_own_table(SECRET, sealed.manifest, mailbox.blobs.__getitem__)
    )
    assert opened.equals(TABLE)
    total = sum(c.size for c in sealed.manifest.chunks)
    assert told[0] == ("uploading", 0, total)
    assert told[-1] == ("uploading", total, total)
    assert outbox.parcels() == []
    assert {p.name for p in files(tmp_path)} == {"ada.table.v3.lock"}


def test_the_outbox_holds_ciphertext_alone_and_is_private(outbox, tmp_path):
    fill(outbox)
    for path in files(tmp_path):
        assert b"plaintext" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0
        assert path.parent.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("patience", range(10))
def test_an_upload_goes_on_where_it_broke_off(outbox, patience):
    sealed = fill(outbox)
    mailbox = Mailbox(patience)
    with pytest.raises(CoordinatorError):
        outbox.parcel("ada.table", 3).publish(mailbox)
    assert len(mailbox.blobs) == patience
    assert mailbox.manifests == {}
    mailbox.patience = 1000
    [parcel] = outbox.parcels()
    assert parcel.publish(mailbox) == sealed.digest
    assert mailbox.puts == 10  # nothing went twice, and nothing was encrypted again
    assert set(mailbox.blobs) == {c.digest for c in sealed.manifest.chunks}


def test_an_upload_whose_acknowledgement_was_lost_is_repeated(outbox):
    sealed = fill(outbox)

    class Forgetful(Mailbox):
        def put_manifest(self, envelope):
            super().put_manifest(envelope)
            raise CoordinatorError("the answer was lost")

    mailbox = Forgetful()
    with pytest.raises(CoordinatorError):
        outbox.parcel("ada.table", 3).publish(mailbox)
    mailbox.__class__ = Mailbox
    assert outbox.parcel("ada.table", 3).publish(mailbox) == sealed.digest
    assert mailbox.puts == 10


def test_a_sealing_that_breaks_off_starts_again_under_another_key(outbox, tmp_path, monkeypatch):
    class Breaking:
        name = "it"

        def __init__(self):
            self.inner = open_source(TABLE)

        def survey(self, progress):
            return self.inner.survey(progress)

        def batches(self, survey):
            yield from (b.slice(0, 50) for b in self.inner.batches(survey))
            raise OSError("power cut")

    with monkeypatch.context() as killed:
        killed.setattr(shutil, "rmtree", lambda *_, **__: None)  # nobody is left to tidy up
        with pytest.raises(OSError, match="power cut"):
            outbox.seal(Breaking(), VERSION, OWNER, OPTIONS)
    rest = {p.name for p in files(tmp_path)}
    assert len(rest) > 1
    assert outbox.parcels() == []
    with pytest.raises(DatasetError, match="not in the outbox"):
        outbox.parcel("ada.table", 3)
    fill(outbox)
    assert {p.name for p in files(tmp_path)} & rest == {"ada.table.v3.lock"}


def test_one_version_is_not_sealed_twice(outbox):
    fill(outbox)
    with pytest.raises(DatasetError, match="sealed already"):
        fill(outbox)
    outbox.parcel("ada.table", 3).discard()
    fill(outbox)


def test_a_coordinator_that_names_it_otherwise_is_caught(outbox):
    fill(outbox)

    class Liar(Mailbox):
        def put_manifest(self, _):
            return digest(b"another")

    with pytest.raises(CoordinatorError, match="another digest"):
        outbox.parcel("ada.table", 3).publish(Liar())
    assert len(outbox.parcels()) == 1


@pytest.mark.parametrize("damage", [b"", b"x"])
def test_damaged_ciphertext_is_not_uploaded(outbox, tmp_path, damage):
    fill(outbox)
    chunk = next(p for p in files(tmp_path) if len(p.name) == 64)
    chunk.write_bytes(damage)
    mailbox = Mailbox()
    with pytest.raises(DatasetError, match="damaged"):
        outbox.parcel("ada.table", 3).publish(mailbox)
    assert mailbox.manifests == {}
    assert all(digest(raw) == name for name, raw in mailbox.blobs.items())


def test_a_damaged_manifest_is_noticed(outbox, tmp_path):
    fill(outbox)
    (tmp_path / "outbox" / "ada.table.v3" / "manifest.json").write_bytes(b"{}")
    with pytest.raises(FormatError):
        outbox.parcels()


def test_blobs_in_a_folder(tmp_path):
    blobs = FolderBlobs(tmp_path)
    raw = b"ciphertext"
    blobs.put(digest(raw), memoryview(raw))
    blobs.put(digest(raw), raw)
    assert blobs.get(digest(raw)) == raw
    assert blobs.has([digest(raw), digest(b"other")]) == {digest(raw)}
    assert len(list(tmp_path.iterdir())) == 1
    with pytest.raises(DatasetError):
        blobs.get(digest(b"other"))


def test_blobs_are_asked_for_in_bounded_lists():
    asked = []

    class Counting(Mailbox):
        def missing(self, names):
            asked.append(len(names))
            return super().missing(names)

    mailbox = Counting()
    names = [digest(bytes([i, j])) for i in range(10) for j in range(250)]
    mailbox.blobs = dict.fromkeys(names[:700], b"")
    assert CoordinatorBlobs(mailbox).has(names) == frozenset(names[:700])
    assert asked == [1000, 1000, 500]


def test_the_how_to_runs(tmp_path, monkeypatch, capsys):
    """Each Python block of docs/howto/seal-data.md, in order, as it stands there."""
    page = Path(__file__).resolve().parents[3] / "docs" / "howto" / "seal-data.md"
    monkeypatch.chdir(tmp_path)
    (tmp_path / "visits.csv").write_text("zip,name,cost\n01234,Ada,1.50\n5,,2\n")

    class Whole(Mailbox):
        def get_blob(self, name):
            return self.blobs[name]

    known = {
        "home": tmp_path,
        "identity": Identity.generate("hospital", ""),
        "coordinator": Whole(),
    }
    blocks = re.findall(r"```python\n(.*?)```", page.read_text(), re.DOTALL)
    assert len(blocks) == 3
    exec(blocks[0], known)  # noqa: S102 - our own page
    [envelope] = known["coordinator"].manifests.values()
    signed = Envelope.parse(envelope, PayloadType.MANIFEST, LIMITS.manifest_bytes)
    known["manifest"] = Manifest.parse(signed.payload)
    exec(blocks[1], known)  # noqa: S102 - our own page
    exec(blocks[2], known)  # noqa: S102 - our own page
    assert parquet.read_table(tmp_path / "visits-again.parquet").to_pylist() == [
        {"zip": "01234", "name": "Ada", "cost": Decimal("1.50")},
        {"zip": "5", "name": None, "cost": Decimal("2.00")},
    ]
    assert capsys.readouterr().out == (
        "2 ['zip:string', 'name:string', 'cost:decimal(12,2) not null']\n('zip', 'name')\n"
    )
    source = known["open_source"](pa.table({"name": ["a"], "zip": ["b"]}))
    assert known["outbox"].seal(source, VERSION, OWNER, known["options"]).rows == 1


def test_a_run_that_fails_leaves_no_rest(outbox, tmp_path):
    def fail(*_):
        for path in files(tmp_path):
            with suppress(FileNotFoundError):  # another thread has just named it anew
                if path.stat().st_size > 100:
                    raise OSError("the disk is full")

    with pytest.raises(OSError, match="full"):
        outbox.seal(open_source(TABLE), VERSION, OWNER, OPTIONS, fail)
    assert {p.name for p in files(tmp_path)} == {"ada.table.v3.lock"}


def test_the_rests_of_killed_runs_go_with_the_next_and_those_under_way_stay(outbox, tmp_path):
    waiting = replace(VERSION, dataset="ada.waiting")
    outbox.seal(open_source(TABLE), waiting, OWNER, OPTIONS)
    for name in ("ada.other.v1", "ada.busy.v1"):
        (tmp_path / "outbox" / name).mkdir()
        (tmp_path / "outbox" / name / "chunk").write_bytes(b"sealed")
    with locked(tmp_path / "outbox" / "ada.busy.v1.lock"):
        fill(outbox)
    left = {p.name for p in (tmp_path / "outbox").iterdir() if p.is_dir()}
    assert left == {"ada.busy.v1", "ada.waiting.v3", "ada.table.v3"}
    assert len(outbox.parcels()) == 2


def test_chunks_that_stay_at_home_are_not_uploaded(outbox, tmp_path):
    mailbox = Mailbox()
    at_home = replace(OPTIONS, placement="home")
    sealed = outbox.seal(open_source(TABLE), VERSION, OWNER, at_home)
    outbox.parcel("ada.table", 3).publish(mailbox)
    assert list(mailbox.manifests) == [sealed.digest]
    assert mailbox.blobs == {}
    kept = {f"sha256:{path.name}" for path in (tmp_path / "at_home").iterdir()}
    assert kept == {c.digest for c in sealed.manifest.chunks}
    assert not outbox.parcels()
