"""Sealing: shapes, limits, threads, interruptions, memory, and what a manifest promises."""

import json
import subprocess
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from tests.support.tables import NOW, OWNER, SECRET, SIGNER, MemoryBlobs, fresh_owner, seal

from mc2.client.data_key import open_own_table, own_data_key
from mc2.client.rows import choose_rows_per_chunk, cut
from mc2.client.seal import NewVersion, OwnerKeys, seal_table
from mc2.client.seal_chunks import THREADS
from mc2.client.sources.open import open_source
from mc2.client.sources.source import Survey
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import DatasetError, UsageError
from mc2.formats.arrow import schema_of
from mc2.formats.limits import LIMITS
from mc2.formats.manifest import Manifest, UsagePolicy

TABLE = pa.table({"id": pa.array(range(100), pa.int64()), "s": [f"row {i}" for i in range(100)]})


def version(**changes):
    return replace(NewVersion(dataset="ada.table", version=1, created=NOW), **changes)


def reopened(sealed, blobs):
    return pa.Table.from_batches(open_own_table(SECRET, sealed.manifest, blobs.get))


# --- what comes out


def test_the_manifest_says_what_was_sealed():
    sealed, blobs = seal(TABLE, rows_per_chunk=30)
    manifest = sealed.manifest
    assert (manifest.dataset, manifest.owner, manifest.version) == ("ada.table", "ada", 1)
    assert (manifest.row_bound, manifest.rows_per_chunk, len(manifest.chunks)) == (100, 30, 4)
    assert (manifest.sizes, manifest.compression, manifest.created) == ("exact", "zstd", NOW)
    assert [c.size for c in manifest.chunks] == [len(blobs.get(c.digest)) for c in manifest.chunks]
    verified = Manifest.verify(sealed.envelope, {"ada": SIGNER.public}.__getitem__)
    assert (verified.value, verified.digest) == (manifest, sealed.digest)
    assert sealed.rows == 100


def test_the_key_follows_from_the_master_secret_and_the_salt():
    manifest = seal(TABLE)[0].manifest
    with own_data_key(SECRET, manifest) as key:
        assert bytes(key.raw) == derive(SECRET, Label.DATASET_KEY, bytes.fromhex(manifest.key_salt))
        assert key.commitment() == manifest.key_commitment


def test_only_the_owner_opens_it():
    sealed, blobs = seal(TABLE)
    with pytest.raises(DatasetError, match="not sealed by this identity"):
        open_own_table(fresh_owner().secret, sealed.manifest, blobs.get)


def test_each_run_is_new_and_a_dataset_keeps_its_id():
    first, second = seal(TABLE)[0].manifest, seal(TABLE)[0].manifest
    assert first.dataset_id != second.dataset_id
    assert first.key_salt != second.key_salt
    kept = version(version=2, dataset_id=first.dataset_id)
    third = seal_table(open_source(TABLE), kept, OWNER, MemoryBlobs()).manifest
    assert third.dataset_id == first.dataset_id


def test_a_policy_travels():
    policy = UsagePolicy(
        columns=("id",), recipients=("bo",), not_after=datetime(2030, 1, 1, tzinfo=UTC)
    )
    sealed = seal_table(open_source(TABLE), version(policy=policy), OWNER, MemoryBlobs())
    assert sealed.manifest.policy == policy


def test_an_empty_table_has_one_empty_chunk():
    sealed, blobs = seal(TABLE.slice(0, 0))
    assert len(sealed.manifest.chunks) == 1
    assert reopened(sealed, blobs).num_rows == 0


def test_progress_is_told():
    told = []
    seal(TABLE, rows_per_chunk=30, progress=lambda *step: told.append(step))
    assert ("reading", 100, 0) in told
    assert [t for t in told if t[0] == "sealing"] == [("sealing", i, 4) for i in range(1, 5)]


def test_ciphertext_holds_no_plaintext():
    marks = [f"plaintext-mark-{i}" for i in range(1000)]
    for compression in ("none", "zstd"):
        _, blobs = seal(pa.table({"s": marks}), compression=compression)
        assert not any(b"plaintext" in raw for raw in blobs.blobs.values())


# --- shape


@pytest.mark.parametrize(
    ("row_bytes", "rows"),
    [
        (1, 1 << 18),
        (32, 1 << 18),
        (33, 1 << 17),
        (100, 1 << 16),
        (500, 1 << 16),
        (600, 1 << 15),
        (1e6, 32),
        (1e9, 1),
    ],
)
def test_rows_per_chunk_follow_from_the_size_of_rows(row_bytes, rows):
    assert choose_rows_per_chunk(row_bytes) == rows


def test_wide_rows_get_fewer_in_a_chunk():
    table = pa.table({"s": ["x" * 100_000] * 1500})
    manifest = seal(table)[0].manifest
    assert manifest.rows_per_chunk == 256
    assert len(manifest.chunks) == 6


def test_rows_that_do_not_fit_are_refused_with_advice():
    table = pa.table({"s": ["x" * 1_000_000] * 80})
    with pytest.raises(DatasetError, match="80 rows do not fit") as caught:
        seal(table, rows_per_chunk=80)
    assert "10" in caught.value.hint
    huge = pa.table({"s": ["x" * (65 << 20)]})
    with pytest.raises(DatasetError, match="1 rows do not fit"):
        seal(huge)


def test_cutting_holds_one_chunk_at_a_time():
    batch = pa.record_batch({"n": np.arange(10)})
    sizes = [b.num_rows for b in cut("it", iter([batch] * 5), 12)]
    assert sizes == [12, 12, 12, 12, 2]
    assert list(cut("it", iter([]), 12)) == []


# --- padding


def padded(table=TABLE, **options):
    return seal(table, **{"sizes": "padded", "row_bound": 250, "widths": {"s": 8}} | options)


def test_padded_chunks_have_one_size_and_hide_the_rows():
    sealed, blobs = padded(rows_per_chunk=100)
    manifest = sealed.manifest
    assert (manifest.row_bound, len(manifest.chunks), manifest.compression) == (250, 3, "none")
    assert len({len(raw) for raw in blobs.blobs.values()}) == 1
    assert reopened(sealed, blobs).equals(TABLE)
    none, _ = padded(TABLE.slice(0, 0), rows_per_chunk=100)
    assert {c.size for c in none.manifest.chunks} == {c.size for c in manifest.chunks}


def test_padded_chunks_share_the_bound_evenly():
    table = pa.table({"n": np.arange(10)})
    manifest = seal(table, sizes="padded", row_bound=262_145)[0].manifest
    assert (len(manifest.chunks), manifest.rows_per_chunk) == (2, 131_073)


def test_a_value_beyond_its_width_is_refused_without_a_quote():
    table = pa.table({"s": ["ok", "secret-value"]})
    with pytest.raises(
        DatasetError, match="'s' has a value beyond its declared width of 8"
    ) as caught:
        padded(table)
    assert "secret" not in str(caught.value) + caught.value.hint


def test_a_width_counts_bytes_and_not_characters():
    with pytest.raises(DatasetError, match="width of 3"):
        padded(pa.table({"s": ["\u00e9\u00e9"]}), widths={"s": 3})
    padded(pa.table({"s": ["\u00e9\u00e9"]}), widths={"s": 4})


@pytest.mark.parametrize(
    ("value", "widths", "path"),
    [
        ([["x"] * 3], {"s": 2, "s[]": 9}, r"s"),
        ([["xxxx"]], {"s": 2, "s[]": 3}, r"s\[\]"),
        ([{"a": "xxxx"}], {"s.a": 3}, r"s\.a"),
        ([{"a": [b"xxxx"]}], {"s.a": 1, "s.a[]": 3}, r"s\.a\[\]"),
    ],
)
def test_nested_values_keep_to_their_widths(value, widths, path):
    with pytest.raises(DatasetError, match=rf"'{path}' has a value beyond"):
        padded(pa.table({"s": value}), widths=widths)
    wide = {name: width + 9 for name, width in widths.items()}
    padded(pa.table({"s": value}), widths=wide)


def test_bytes_behind_a_null_neither_count_nor_travel():
    array = pa.StringArray.from_buffers(
        3,
        pa.array([0, 1, 50, 51], pa.int32()).buffers()[1],
        pa.py_buffer(b"a" + b"deleted" * 7 + b"b"),
        pa.py_buffer(b"\x05"),
    )
    sealed, blobs = padded(pa.table({"s": array}))
    assert reopened(sealed, blobs).column(0).to_pylist() == ["a", None, "b"]


def test_more_rows_than_the_bound_are_refused():
    with pytest.raises(DatasetError, match="more rows than the declared bound of 99"):
        padded(row_bound=99)
    assert padded(row_bound=100)[0].manifest.row_bound == 100


@pytest.mark.parametrize(
    "options",
    [
        {"sizes": "hidden"},
        {"compression": "gzip"},
        {"rows_per_chunk": -1},
        {"rows_per_chunk": LIMITS.chunk_rows + 1},
        {"row_bound": 5},
        {"widths": {"s": 5}},
        {"sizes": "padded", "widths": {"s": 5}},
        {"sizes": "padded", "widths": {"s": 5}, "row_bound": 200, "compression": "zstd"},
        {"sizes": "padded", "row_bound": 200},
        {"sizes": "padded", "row_bound": 200, "widths": {"s": 5, "t": 5}},
        {"sizes": "padded", "row_bound": 200, "widths": {"s": 5, "id": 8}},
        {"sizes": "padded", "row_bound": 200, "widths": {"s": -1}},
        {"sizes": "padded", "row_bound": 200, "widths": {"s": 1 << 20}, "rows_per_chunk": 200},
        {"sizes": "padded", "row_bound": 1 << 41, "widths": {"s": 5}},
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options):
    with pytest.raises(UsageError):
        seal(TABLE, **options)


@pytest.mark.parametrize(
    "change",
    [
        {"dataset": "table"},
        {"dataset": "Ada.table"},
        {"version": 0},
        {"dataset_id": "xyz"},
        {"policy": UsagePolicy(columns=("nobody",))},
    ],
    ids=str,
)
def test_what_no_reader_would_take_is_refused_before_the_work(change):
    blobs = MemoryBlobs()
    with pytest.raises(UsageError):
        seal_table(open_source(TABLE), version(**change), OWNER, blobs)
    assert blobs.blobs == {}


# --- sources and sinks that fail


class Lying:
    """A source that surveys one table and yields another."""

    name = "it"

    def __init__(self, surveyed, yielded):
        self.surveyed, self.yielded = surveyed, yielded

    def survey(self, _):
        return Survey(schema_of(self.surveyed.schema), self.surveyed.num_rows, 100.0)

    def batches(self, _):
        yield from self.yielded.to_batches(max_chunksize=7)


@pytest.mark.parametrize("rows", [0, 59, 70, 99, 101, 200])
def test_a_source_that_changes_never_seals(rows):
    other = pa.concat_tables([TABLE, TABLE]).slice(0, rows)
    with pytest.raises(DatasetError):
        seal(Lying(TABLE, other), rows_per_chunk=30)


class Failing(MemoryBlobs):
    def put(self, name, raw):
        if len(self.blobs) == 2:
            raise OSError("disk full")
        super().put(name, raw)


def test_a_sink_that_fails_ends_the_run():
    with pytest.raises(OSError, match="disk full"):
        seal(TABLE, Failing(), rows_per_chunk=10)
    assert threading.active_count() < 10 + THREADS


def test_a_sink_may_not_keep_the_buffer():
    """Buffers are reused: whoever keeps a view sees other bytes later, so sinks must copy."""
    kept = []

    class Keeper(MemoryBlobs):
        def put(self, name, raw):
            super().put(name, raw)
            kept.append(raw)

    sealed, blobs = seal(TABLE, Keeper(), rows_per_chunk=10)
    assert len(kept) == 10
    assert reopened(sealed, blobs).equals(TABLE)


def test_chunks_keep_their_order_whatever_the_threads_do():
    class Slow(MemoryBlobs):
        def put(self, name, raw):
            time.sleep(0.002 * (len(self.blobs) % 3))
            super().put(name, raw)

    sealed, blobs = seal(TABLE, Slow(), rows_per_chunk=3)
    assert reopened(sealed, blobs).equals(TABLE)


# --- memory


PEAK = """
import json, secrets, sys
from datetime import datetime, timezone
from pathlib import Path
from mc2.client.blobs import FolderBlobs
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.secret import SigningKey

def peak():  # of this program alone: getrusage would count its parent in
    for line in open("/proc/self/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1]) // 1024

path, folder, compression = sys.argv[1:]
before = peak()
sealed = seal_table(
    open_source(path),
    NewVersion(dataset="ada.big", version=1, created=datetime.now(timezone.utc)),
    OwnerKeys(secret=secrets.token_bytes(32), signer=SigningKey.generate()),
    FolderBlobs(Path(folder)),
    SealOptions(compression=compression),
)
print(json.dumps({"rows": sealed.rows, "before": before, "after": peak()}))
"""


def batches(count, rows=65_536):
    rng = np.random.default_rng(7)
    words = pa.array([f"word {i} of the text" for i in range(1000)])
    for number in range(count):
        yield pa.record_batch(
            {
                "id": np.arange(rows) + number * rows,
                "x": rng.random(rows),
                "y": rng.random(rows),
                "s": words.take(pa.array(rng.integers(0, 1000, rows))),
            }
        )


def peak_megabytes(tmp_path, file, compression="none"):
    out = tmp_path / "out"
    out.mkdir()
    run = [sys.executable, "-c", PEAK, str(file), str(out), compression]
    return json.loads(subprocess.run(run, capture_output=True, check=True, text=True).stdout)


def write(path, count):
    from pyarrow import csv, ipc, parquet

    schema = next(batches(1, 1)).schema
    with path.open("wb") as file:
        writer = {
            ".parquet": lambda: parquet.ParquetWriter(file, schema),
            ".arrow": lambda: ipc.new_file(file, schema),
            ".csv": lambda: csv.CSVWriter(file, schema),
        }[path.suffix]()
        with writer:
            for batch in batches(count):
                writer.write_batch(batch)


@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_memory_does_not_grow_with_the_table(tmp_path, ending):
    """Far more rows pass through than are ever held."""
    path = tmp_path / f"t.{ending}"
    count = 30 if ending == "csv" else 100  # CSV is slow to read, and larger
    write(path, count)
    found = peak_megabytes(tmp_path, path)
    assert found["rows"] == count * 65_536
    assert found["after"] < 400


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["csv", "parquet", "arrow"])
def test_a_gigabyte_seals_in_under_500_megabytes(tmp_path, ending):
    path = tmp_path / f"t.{ending}"
    write(path, 350)
    found = peak_megabytes(tmp_path, path, "zstd")
    assert found["rows"] == 350 * 65_536
    assert found["after"] < 500


def test_keys_are_not_shown():
    owner = OwnerKeys(secret=b"master-secret-of-32-bytes-length", signer=SIGNER)
    assert "master" not in repr(owner)
