"""Sealed tables as a hostile store, coordinator or owner would deliver them."""

import threading
from dataclasses import replace

import pyarrow as pa
import pytest
from tests.support.tables import SECRET, seal

from mc2.client.data_key import own_data_key
from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import digest
from mc2.errors import CryptoError, DatasetError, FormatError
from mc2.formats.chunk import pack_rows
from mc2.formats.dataset_open import (
    dataset_cipher,
    open_chunk,
    open_chunks,
    open_rows,
    places_of,
    rows_in_chunk,
)
from mc2.formats.fixed import header, pack_fixed
from mc2.formats.manifest import ChunkRef
from mc2.formats.schema import Column, DataType, Schema

TABLE = pa.table({"n": pa.array(range(10), pa.int64()), "s": [f"text {i}" for i in range(10)]})


@pytest.fixture
def sealed():
    return seal(TABLE, rows_per_chunk=4, compression="none")


@pytest.fixture
def padded():
    return seal(TABLE, rows_per_chunk=4, sizes="padded", row_bound=15, widths={"s": 8})


def cipher_of(manifest):
    with own_data_key(SECRET, manifest) as key:
        return dataset_cipher(manifest, key.raw)


def open_all(manifest, read, cipher=None):
    return pa.Table.from_batches(open_rows(cipher or cipher_of(manifest), manifest, read))


def resealed(manifest, *batches, compression="none", size=0):
    """What an owner could sign and seal, whatever it is: chunks of any rows under the true key."""
    cipher, blobs, refs = cipher_of(manifest), {}, []
    for index, batch in enumerate(batches):
        plain = batch if isinstance(batch, bytes) else pack_rows(batch, compression, size=size)
        raw = cipher.seal(index, plain, manifest.associated_data(index))
        refs.append(ChunkRef(digest(raw), len(raw)))
        blobs[digest(raw)] = raw
    return replace(manifest, chunks=tuple(refs)), blobs.__getitem__


def test_opens_in_order(sealed):
    assert open_all(sealed[0].manifest, sealed[1].get).equals(TABLE)


def test_opens_padded_tables_without_their_padding(padded):
    manifest = padded[0].manifest
    assert len(manifest.chunks) == 4
    assert open_all(manifest, padded[1].get).equals(TABLE)


def test_opens_some_columns(sealed, padded):
    for one, blobs in (sealed, padded):
        batches = open_rows(cipher_of(one.manifest), one.manifest, blobs.get, ["s"])
        assert pa.Table.from_batches(batches).equals(TABLE.select(["s"]))


@pytest.mark.parametrize("threads", [2, 7])
def test_opening_ahead_changes_nothing(sealed, threads):
    manifest, blobs = sealed[0].manifest, sealed[1]
    cipher = cipher_of(manifest)
    opened = open_rows(cipher, manifest, blobs.get, threads=threads)
    assert pa.Table.from_batches(opened).equals(TABLE)

    def second_is_wrong(name):
        return b"lost" if name == manifest.chunks[1].digest else blobs.get(name)

    opened = open_rows(cipher, manifest, second_is_wrong, threads=threads)
    assert next(opened).num_rows == 4
    with pytest.raises(DatasetError, match="chunk 1"):
        next(opened)


@pytest.mark.parametrize("threads", [1, 3])
def test_opens_some_chunks(sealed, threads):
    manifest, blobs = sealed[0].manifest, sealed[1]
    cipher = cipher_of(manifest)
    for start, stop in ((0, 3), (1, 3), (2, 3), (1, 1)):
        chunks = range(start, stop)
        opened = open_chunks(cipher, manifest, chunks, blobs.get, ["n"], threads=threads)
        found = pa.Table.from_batches(opened, TABLE.select(["n"]).schema)
        assert found.equals(TABLE.select(["n"]).slice(4 * start, 4 * (stop - start)))


def test_who_stops_early_leaves_no_thread_behind(sealed):
    manifest, blobs = sealed[0].manifest, sealed[1]
    opened = open_rows(cipher_of(manifest), manifest, blobs.get, threads=2)
    next(opened)
    opened.close()
    assert not [t for t in threading.enumerate() if t.name.startswith("open_")]


def test_room_in_chunks(sealed, padded):
    assert [rows_in_chunk(sealed[0].manifest, i) for i in range(3)] == [4, 4, 2]
    assert [rows_in_chunk(padded[0].manifest, i) for i in range(4)] == [4, 4, 4, 3]


# --- a hostile store


def test_a_missing_altered_or_cut_chunk_is_noticed(sealed):
    manifest, blobs = sealed[0].manifest, sealed[1]
    cipher = cipher_of(manifest)
    raw = blobs.get(manifest.chunks[1].digest)
    for bad in (b"", raw[:-1], raw + b"\x00", bytes([raw[0] ^ 1]) + raw[1:]):
        with pytest.raises(DatasetError, match="chunk 1"):
            open_chunk(cipher, manifest, 1, [bad])


def test_swapped_repeated_and_foreign_chunks_are_noticed(sealed):
    manifest, blobs = sealed[0].manifest, sealed[1]
    cipher = cipher_of(manifest)
    other, other_blobs = seal(TABLE, rows_per_chunk=4, compression="none")
    for bad in (
        blobs.get(manifest.chunks[0].digest),
        blobs.get(manifest.chunks[2].digest),
        other_blobs.get(other.manifest.chunks[1].digest),
    ):
        with pytest.raises(DatasetError):
            open_chunk(cipher, manifest, 1, [bad])


@pytest.mark.parametrize("index", [-1, 3])
def test_there_is_no_other_chunk(sealed, index):
    with pytest.raises(DatasetError, match="no chunk"):
        open_chunk(cipher_of(sealed[0].manifest), sealed[0].manifest, index, [b""])


# --- a forged or mixed manifest, should its signature ever be let through


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"dataset_id": "ff" * 16},
        {"schema": Schema((Column("m", DataType("int64")), Column("s", DataType("string"))))},
        {"row_bound": 8, "chunks": 2},
        {"row_bound": 14, "chunks": 4},
    ],
    ids=str,
)
def test_chunks_open_only_where_they_belong(sealed, change):
    manifest, blobs = sealed[0].manifest, sealed[1]
    cipher = cipher_of(manifest)
    chunks = (*manifest.chunks, manifest.chunks[0])[: change.pop("chunks", 3)]
    forged = replace(manifest, chunks=chunks, **change)
    with pytest.raises(CryptoError):
        list(open_rows(cipher, forged, blobs.get))


def test_the_order_of_chunks_is_bound(sealed):
    manifest, blobs = sealed[0].manifest, sealed[1]
    forged = replace(manifest, chunks=(manifest.chunks[1], manifest.chunks[0], manifest.chunks[2]))
    with pytest.raises(CryptoError):
        list(open_rows(cipher_of(manifest), forged, blobs.get))


def test_another_key_is_refused_before_any_chunk(sealed):
    with pytest.raises(DatasetError, match="not the key"):
        dataset_cipher(sealed[0].manifest, bytes(32))
    with pytest.raises(CryptoError):
        list(open_rows(ChunkCipher(bytes(32)), sealed[0].manifest, sealed[1].get))


# --- a hostile owner


def batches_of(*sizes):
    whole = TABLE.to_batches()[0]
    start = 0
    for size in sizes:
        yield whole.slice(start, size)
        start += size


@pytest.mark.parametrize("sizes", [(4, 4, 1), (4, 3, 2), (3, 4, 2), (4, 4, 0), (2, 2, 2)])
def test_an_exact_table_has_exactly_its_rows(sealed, sizes):
    manifest, read = resealed(sealed[0].manifest, *batches_of(*sizes))
    with pytest.raises(DatasetError, match="number of rows"):
        open_all(manifest, read, cipher_of(manifest))


def test_a_padded_table_has_no_more_rows_than_room_and_no_gaps(padded):
    signed = padded[0].manifest
    places = places_of(signed)

    def packed(*sizes):
        found = []
        for batch in batches_of(*sizes):
            chunk = bytearray(places.size)
            pack_fixed(batch, places, chunk)
            found.append(bytes(chunk))
        return found

    good, read = resealed(signed, *packed(4, 3, 0, 0))
    assert open_all(good, read).num_rows == 7
    lying = [header(5) + chunk[8:] for chunk in packed(4, 0, 0, 0)[:1]] + packed(0, 0, 0)
    wide, read = resealed(signed, *lying)
    with pytest.raises(FormatError, match="more rows than places"):
        open_all(wide, read)
    small = replace(signed, row_bound=14)  # its last chunk has room for two
    many, read = resealed(small, *packed(2, 0, 0, 0)[1:], packed(3)[0])
    with pytest.raises(DatasetError, match="number of rows"):
        open_chunk(cipher_of(many), many, 3, [read(many.chunks[3].digest)])
    gap, read = resealed(signed, *packed(4, 3, 1, 0))
    with pytest.raises(DatasetError, match="after its last"):
        open_all(gap, read)


def test_padding_belongs_to_padded_tables(sealed):
    first, *rest = batches_of(4, 4, 2)
    manifest, read = resealed(sealed[0].manifest, pack_rows(first, size=8192), *rest)
    with pytest.raises(FormatError, match="chunk 0"):
        open_all(manifest, read)


def test_rows_are_in_the_schema_and_compression_of_the_manifest(sealed):
    signed = sealed[0].manifest
    manifest, read = resealed(signed, *batches_of(4, 4, 2), compression="zstd")
    with pytest.raises(FormatError):
        open_all(manifest, read)
    renamed = [b.rename_columns(["m", "s"]) for b in batches_of(4, 4, 2)]
    manifest, read = resealed(signed, *renamed)
    with pytest.raises(FormatError, match="schema"):
        open_all(manifest, read)
