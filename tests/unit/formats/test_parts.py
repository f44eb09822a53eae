"""Chunks that are sealed column by column, as hostile stores and owners would deliver them."""

from dataclasses import replace
from decimal import Decimal
from itertools import combinations
from unittest import mock

import pyarrow as pa
import pytest
from tests.support.tables import SECRET, seal

from mc2.client import rows
from mc2.client.data_key import own_data_key
from mc2.errors import CryptoError, DatasetError, FormatError
from mc2.formats.dataset_open import dataset_cipher, open_rows

TABLE = pa.table(
    {
        "a": pa.array(range(10), pa.int64()),
        "b": pa.array(range(10, 20), pa.int64()),
        "price": pa.array([Decimal(i).scaleb(-2) for i in range(10)], pa.decimal128(15, 2)),
        "s": [f"text {i}" for i in range(10)],
    }
)


@pytest.fixture(params=["none", "lz4", "zstd"])
def sealed(request):
    with mock.patch.object(rows, "_PART_BYTES", 1):
        found, blobs = seal(TABLE, rows_per_chunk=4, compression=request.param)
    assert found.manifest.cuts == (1, 2, 3)
    return found.manifest, blobs


def opened(manifest, read, names=(), **options):
    with own_data_key(SECRET, manifest) as key:
        cipher = dataset_cipher(manifest, key.raw)
    return pa.Table.from_batches(open_rows(cipher, manifest, read, names, **options))


def changed(manifest, *refs):
    return replace(manifest, chunks=(*refs, *manifest.chunks[len(refs) :]))


def test_all_columns_come_back(sealed):
    manifest, blobs = sealed
    assert (manifest.whole_chunks, len(manifest.chunks)) == (3, 12)
    assert opened(manifest, blobs.get).equals(TABLE)
    assert opened(manifest, blobs.get, threads=3).equals(TABLE)


@pytest.mark.parametrize("names", [n for k in (1, 2, 3) for n in combinations("bsa", k)])
def test_only_the_parts_of_the_wanted_columns_are_fetched(sealed, names):
    manifest, blobs = sealed
    fetched = []

    def read(name):
        fetched.append(name)
        return blobs.get(name)

    wanted = [n for n in TABLE.column_names if n in names]
    assert opened(manifest, read, names).equals(TABLE.select(wanted))
    assert len(fetched) == 3 * len(names)
    assert set(fetched) == {
        manifest.part(i, TABLE.column_names.index(n)).digest for i in range(3) for n in names
    }


def test_short_decimals_are_the_same_numbers(sealed):
    manifest, blobs = sealed
    found = opened(manifest, blobs.get, ["price"], short=True)
    bits = 128 if manifest.compression == "none" else 64
    assert found.schema.field("price").type.bit_width == bits
    assert found.cast(TABLE.select(["price"]).schema).equals(TABLE.select(["price"]))


def test_a_lost_or_altered_part_is_noticed_by_who_reads_it(sealed):
    manifest, blobs = sealed
    bad = manifest.part(1, 1).digest
    for instead in (b"", blobs.get(bad)[:-1], blobs.get(manifest.part(1, 0).digest)):

        def read(name, instead=instead):
            return instead if name == bad else blobs.get(name)

        with pytest.raises(DatasetError, match="chunk 1"):
            opened(manifest, read, ["b"])
        assert opened(manifest, read, ["a", "s"]).num_rows == 10


def test_columns_of_one_type_cannot_change_places(sealed):
    manifest, blobs = sealed
    a, b = manifest.part(0, 0), manifest.part(0, 1)
    for forged in (changed(manifest, b, a), changed(manifest, a, a), changed(manifest, b)):
        with pytest.raises((CryptoError, FormatError)):
            opened(forged, blobs.get)
    with pytest.raises(CryptoError):
        opened(changed(manifest, b, a), blobs.get, ["a"])


def test_parts_of_two_chunks_cannot_be_mixed(sealed):
    manifest, blobs = sealed
    forged = changed(manifest, manifest.part(0, 0), manifest.part(1, 1))
    with pytest.raises(CryptoError):
        opened(forged, blobs.get)


@pytest.mark.parametrize("cuts", [(1, 2), (2, 3), (1,), (2,), ()], ids=str)
def test_a_table_cut_otherwise_does_not_open(sealed, cuts):
    manifest, blobs = sealed
    count = 3 * (len(cuts) + 1)
    forged = replace(manifest, cuts=cuts, chunks=manifest.chunks[:count])
    with pytest.raises((CryptoError, FormatError)):
        opened(forged, blobs.get)


@pytest.mark.parametrize("cuts", [(0,), (4,), (2, 1), (1, 1), (-1,)], ids=str)
def test_cuts_are_places_of_columns_in_order(sealed, cuts):
    manifest, _ = sealed
    chunks = manifest.chunks[:1] * (3 * (len(cuts) + 1))
    with pytest.raises(FormatError, match="cuts"):
        replace(manifest, cuts=cuts, chunks=chunks)


def test_a_padded_table_is_not_cut():
    with mock.patch.object(rows, "_PART_BYTES", 1):
        padded, _ = seal(TABLE, rows_per_chunk=4, sizes="padded", row_bound=15, widths={"s": 8})
    assert padded.manifest.cuts == ()
    with pytest.raises(FormatError, match="cut"):
        replace(padded.manifest, cuts=(1,), chunks=padded.manifest.chunks * 2)
