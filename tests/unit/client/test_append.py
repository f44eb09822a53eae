"""Datasets that grow: earlier rows stay as they were sealed, and nothing of them can be touched."""

from dataclasses import replace
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from mc2.client.append import check_may_append
from mc2.client.data_key import open_own_table, own_data_key
from mc2.client.seal import NewVersion, OwnerKeys, SealOptions, seal_table
from mc2.client.sources.open import open_source
from mc2.crypto.digest import digest
from mc2.crypto.secret import SigningKey
from mc2.errors import CryptoError, DatasetError, FormatError, Mc2Error, UsageError
from mc2.formats.canonical import encode
from mc2.formats.dataset_open import dataset_cipher, open_rows, segment_keys
from mc2.formats.manifest import Manifest

SECRET = b"s" * 32
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Store(dict):
    """Sealed chunks, and how many were put."""

    def put(self, name, raw):
        self[name] = bytes(raw)


@pytest.fixture(scope="module")
def keys():
    return OwnerKeys(secret=SECRET, signer=SigningKey.generate())


def grow(store, keys, parts, dataset="ann.t", options=None, **more):
    """A dataset of as many versions as parts; all manifests."""
    found = []
    for number, part in enumerate(parts, 1):
        version = NewVersion(
            dataset=dataset,
            version=number,
            created=NOW,
            dataset_id=found[-1].dataset_id if found else "",
            after=found[-1] if found else None,
        )
        opened = open_source(pa.table(part))
        sealed = seal_table(opened, version, keys, store, options or SealOptions(**more))
        found.append(Manifest.parse(encode(sealed.manifest.json())))
    return found


def rows(store, manifest):
    table = pa.Table.from_batches(list(open_own_table(SECRET, manifest, store.__getitem__)))
    return table.column("v").to_pylist()


@pytest.fixture(scope="module")
def grown(keys):
    store = Store()
    parts = [{"v": [1, 2, 3]}, {"v": [4, 5]}, {"v": [6, 7, 8, 9, 10]}]
    return store, grow(store, keys, parts, rows_per_chunk=2)


def test_readers_see_one_table(grown):
    store, manifests = grown
    assert [rows(store, m) for m in manifests] == [
        [1, 2, 3], [1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 6, 7, 8, 9, 10],
    ]  # fmt: skip
    assert [m.row_bound for m in manifests] == [3, 5, 10]


def test_nothing_is_sealed_twice(grown):
    store, (first, second, third) = grown
    assert second.chunks[:2] == first.chunks
    assert third.chunks[:3] == second.chunks
    assert len(store) == 2 + 1 + 3


def test_keys_of_versions_and_segments_all_differ(grown):
    _, (*_, third) = grown
    with own_data_key(SECRET, third) as key:
        found = [*segment_keys(third, key.raw), bytes(key.raw)]
    assert len(set(found)) == 3
    assert len({s.sealed_key for s in third.earlier}) == 2


def test_an_earlier_key_opens_no_later_version(grown):
    _, (first, second, _) = grown
    with own_data_key(SECRET, first) as key, pytest.raises(DatasetError, match="not the key"):
        dataset_cipher(second, key.raw)


def opened(store, manifest, original):
    """Open with the key of the original, whatever a manifest says of its segments."""
    with own_data_key(SECRET, original) as key:
        cipher = dataset_cipher(manifest, key.raw)
    return [b.num_rows for b in open_rows(cipher, manifest, store.__getitem__)]


def _drop(m):
    return replace(m, earlier=m.earlier[1:], chunks=m.chunks[2:], row_bound=m.row_bound - 3)


def _swap_chunks(m):
    return replace(m, chunks=(m.chunks[2], m.chunks[1], m.chunks[0], *m.chunks[3:]))


def _other_bound(m):
    first = replace(m.earlier[0], row_bound=4)
    return replace(m, earlier=(first, *m.earlier[1:]), row_bound=m.row_bound + 1)


def _other_version(m):
    return replace(m, earlier=(m.earlier[0], replace(m.earlier[1], version=2)), version=7)


def _swap_keys(m):
    a, b = m.earlier
    swapped = (replace(a, sealed_key=b.sealed_key), replace(b, sealed_key=a.sealed_key))
    return replace(m, earlier=swapped)


def _other_commitment(m):
    first = replace(m.earlier[0], key_commitment="00" * 32)
    return replace(m, earlier=(first, m.earlier[1]))


def _repeat_a_chunk(m):
    return replace(m, chunks=(m.chunks[1], *m.chunks[1:]))


@pytest.mark.parametrize(
    "tamper",
    [_drop, _swap_chunks, _other_bound, _other_version, _swap_keys, _other_commitment,
     _repeat_a_chunk],
)  # fmt: skip
def test_a_manifest_with_other_segments_does_not_open(grown, tamper):
    store, (*_, third) = grown
    with pytest.raises((CryptoError, DatasetError, FormatError)):
        opened(store, tamper(third), third)


def test_reordered_segments_are_no_manifest(grown):
    _, (*_, third) = grown
    with pytest.raises(FormatError, match="do not rise"):
        replace(third, earlier=third.earlier[::-1])


def test_a_segment_of_another_dataset_does_not_open(grown, keys):
    store, (_, second, _) = Store(grown[0]), grown[1]
    other = grow(store, keys, [{"v": [1, 2, 3]}, {"v": [4, 5]}], "ann.u", rows_per_chunk=2)[1]
    mixed = replace(second, earlier=other.earlier, chunks=(*other.chunks[:2], second.chunks[2]))
    with pytest.raises(CryptoError):
        opened(store, mixed, second)
    # Not even if the owner seals the right keys of that other table into it.
    moved = replace(other, dataset_id=second.dataset_id)
    with pytest.raises(CryptoError):
        opened(store, moved, other)


def test_padded_tables_grow_by_their_bounds(keys):
    store = Store()
    options = SealOptions(sizes="padded", row_bound=5, rows_per_chunk=2)
    first, second = grow(store, keys, [{"v": [1]}, {"v": [2, 3]}], options=options)
    assert rows(store, second) == [1, 2, 3]
    assert (second.row_bound, len(second.chunks)) == (10, 6)
    assert len({c.size for c in second.chunks}) == 1
    assert second.facts == first.facts


def test_empty_parts_are_parts(keys):
    store = Store()
    none = pa.array([], pa.int64())
    assert rows(store, grow(store, keys, [{"v": none}, {"v": [1]}, {"v": none}])[2]) == [1]


@pytest.mark.parametrize("part", [{"v": ["x"]}, {"w": [1]}, {"v": [1], "w": [2]}])
def test_other_columns_are_refused(keys, part):
    with pytest.raises(DatasetError, match="other columns"):
        grow(Store(), keys, [{"v": [1]}, part])


def test_unique_columns_do_not_grow(keys):
    first = grow(Store(), keys, [{"v": [1, 2]}], options=SealOptions(unique=(("v",),)))[0]
    with pytest.raises(UsageError, match="no value twice"):
        check_may_append(first, first.schema)


def test_rows_of_a_declared_order_take_no_others(keys):
    first = grow(Store(), keys, [{"v": [1, 2]}], options=SealOptions(ascending=("v",)))[0]
    with pytest.raises(UsageError, match="in order"):
        check_may_append(first, first.schema)


def test_only_the_owner_appends(keys):
    store = Store()
    first = grow(store, keys, [{"v": [1]}])[0]
    other = OwnerKeys(secret=b"o" * 32, signer=keys.signer)
    version = NewVersion(
        dataset="ann.t", version=2, created=NOW, dataset_id=first.dataset_id, after=first
    )
    with pytest.raises(DatasetError, match="not sealed by this identity"):
        seal_table(open_source(pa.table({"v": [2]})), version, other, store)


def test_damaged_chunks_of_earlier_segments_show(grown):
    store, (*_, third) = grown
    damaged = Store(store)
    raw = bytearray(damaged[third.chunks[0].digest])
    raw[0] ^= 1
    damaged[third.chunks[0].digest] = bytes(raw)
    with pytest.raises(Mc2Error, match="chunk 0"):
        rows(damaged, third)
    assert digest(bytes(raw)) != third.chunks[0].digest
