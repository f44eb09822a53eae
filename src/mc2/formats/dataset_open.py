"""Opens the chunks of a sealed dataset: in an enclave, or at home of its owner.

The manifest is signed by the owner and names each chunk by digest, so nothing here trusts who
delivers the bytes. It does not trust the owner to be well-behaved either: rows are validated
before any engine touches them. Spec: docs/spec/dataset.md, section "Opening".
"""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest, digest, same_digest
from mc2.crypto.kdf import derive
from mc2.crypto.labels import Label
from mc2.errors import DatasetError, FormatError
from mc2.formats.chunk import unpack_rows
from mc2.formats.fixed import FixedPlaces, fixed_places, unpack_fixed
from mc2.formats.manifest import Manifest, Segment
from mc2.formats.schema import Schema


def dataset_cipher(manifest: Manifest, data_key: bytes | bytearray) -> ChunkCipher:
    """The cipher of a dataset version, if this is the key that its manifest commits to.

    AES-GCM alone does not bind a key: without the commitment an owner could grant two enclaves
    two keys under which one ciphertext opens to different rows. Raises: DatasetError.
    """
    if not hmac.compare_digest(
        derive(data_key, Label.KEY_COMMITMENT).hex(), manifest.key_commitment
    ):
        raise DatasetError(
            f"this key is not the key of {_version(manifest)}",
            hint="the owner granted the key of another version: grant again for this manifest",
        )
    if not manifest.earlier:
        return ChunkCipher(data_key)
    return _SegmentsCipher(manifest, [*segment_keys(manifest, data_key), bytes(data_key)])


class _SegmentsCipher(ChunkCipher):
    """The chunks of all segments, each under its own key and numbers, as one table."""

    __slots__ = ("_ciphers", "_manifest", "_parts")

    def __init__(self, manifest: Manifest, keys: list[bytes]) -> None:
        super().__init__(keys[-1])
        self._manifest = manifest
        self._parts = len(manifest.parts)
        self._ciphers = [ChunkCipher(key) for key in keys]

    def open(self, number: int, ciphertext: bytes | memoryview, associated: bytes) -> bytes:
        """Open part `number` of the whole table. Raises: CryptoError, FormatError."""
        index, part = divmod(number, self._parts)
        place = self._manifest.place(index)
        own = place.index * self._parts + part
        return self._ciphers[place.segment].open(own, ciphertext, associated)


def segment_keys(manifest: Manifest, data_key: bytes | bytearray) -> list[bytes]:
    """The data keys of the segments that a version keeps, in order.

    Each is one that the manifest commits to, for the same reason as the version's own.
    Raises: DatasetError, CryptoError.
    """
    cipher = ChunkCipher(derive(data_key, Label.SEGMENT_KEY))
    found = []
    for number, segment in enumerate(manifest.earlier):
        bound = manifest.segment_associated_data(number)
        key = cipher.open(number, bytes.fromhex(segment.sealed_key), bound)
        if not hmac.compare_digest(derive(key, Label.KEY_COMMITMENT).hex(), segment.key_commitment):
            raise DatasetError(f"a key of {_version(manifest)} is not that of its segment {number}")
        found.append(key)
    return found


def seal_segment_keys(
    manifest: Manifest, data_key: bytes | bytearray, keys: Sequence[bytes]
) -> tuple[Segment, ...]:
    """The segments of a manifest with their keys sealed under the version's own."""
    cipher = ChunkCipher(derive(data_key, Label.SEGMENT_KEY))
    return tuple(
        replace(
            segment,
            sealed_key=cipher.seal(number, key, manifest.segment_associated_data(number)).hex(),
        )
        for number, (segment, key) in enumerate(zip(manifest.earlier, keys, strict=True))
    )


def open_plain(
    cipher: ChunkCipher, manifest: Manifest, index: int, raw: bytes, part: int = 0
) -> bytes:
    """Check and decrypt a part of chunk `index`; what it holds has not been looked at.

    Raises: DatasetError, CryptoError.
    """
    _check_index(manifest, index)
    expected = manifest.part(index, part)
    if len(raw) != expected.size or not same_digest(digest(raw), expected.digest):
        raise DatasetError(
            f"chunk {index} of {_version(manifest)} is not the one that its manifest names",
            hint="the store damaged or swapped it: its owner can upload the dataset again",
        )
    number = index * len(manifest.parts) + part
    return cipher.open(number, raw, manifest.associated_data(index, part))


def _check_index(manifest: Manifest, index: int) -> None:
    if not 0 <= index < manifest.whole_chunks:
        raise DatasetError(f"{_version(manifest)} has no chunk {index}")


def places_of(manifest: Manifest) -> FixedPlaces:
    """Where everything stands in each chunk of a table with fixed places."""
    return fixed_places(manifest.schema, manifest.facts.widths, manifest.rows_per_chunk)


def segment_bounds(manifest: Manifest) -> tuple[int, ...]:
    """The bounds of the runs of rows that were sealed at once, in order."""
    return (*(s.row_bound for s in manifest.earlier), manifest.own_rows)


def fetch_chunk(
    manifest: Manifest, index: int, read: Callable[[Digest], bytes], names: Collection[str] = ()
) -> tuple[bytes, ...]:
    """The sealed parts of chunk `index` that hold some columns. Raises: what `read` raises."""
    return tuple(read(manifest.part(index, p).digest) for p in manifest.parts_with(names))


def open_chunk(
    cipher: ChunkCipher,
    manifest: Manifest,
    index: int,
    raw: Sequence[bytes],
    names: Sequence[str] = (),
    *,
    short: bool = False,
) -> pa.RecordBatch:
    """Open the parts of chunk `index` and validate its rows; with `names`, those columns of them.

    `raw` is what `fetch_chunk` gave for the same names. In exact mode the number of rows is what
    the manifest says; in padded mode it is at most that. With `short`, decimals of at most 18
    digits come in 64 bits where they travel so. Raises: DatasetError, CryptoError, FormatError.
    """
    _check_index(manifest, index)
    wanted = manifest.parts_with(names)
    if len(raw) != len(wanted):
        raise DatasetError(f"chunk {index} of {_version(manifest)} has more or fewer parts")
    room, padded = rows_in_chunk(manifest, index), manifest.sizes == "padded"
    batches = []
    for part, sealed in zip(wanted, raw, strict=True):
        plain = open_plain(cipher, manifest, index, sealed, part)
        try:
            batch = _part_rows(manifest, part, plain, names, short=short)
        except FormatError as error:
            raise FormatError(f"chunk {index} of {_version(manifest)}: {error}") from None
        if batch.num_rows > room or (batch.num_rows < room and not padded):
            raise DatasetError(f"chunk {index} of {_version(manifest)} has a wrong number of rows")
        batches.append(batch)
    if len(batches) == 1:
        return batches[0]
    fields = [field for batch in batches for field in batch.schema]
    return pa.record_batch([c for b in batches for c in b.columns], schema=pa.schema(fields))


def _part_rows(
    manifest: Manifest, part: int, plain: bytes, names: Sequence[str], *, short: bool
) -> pa.RecordBatch:
    """The rows of one part. Raises: FormatError."""
    if manifest.fixed:
        batch = unpack_fixed(plain, manifest.schema, places_of(manifest))
        return batch.select([n for n in manifest.schema.names if n in names]) if names else batch
    columns = manifest.parts[part]
    schema = Schema(manifest.schema.columns[columns.start : columns.stop])
    inside = [n for n in schema.names if n in names]
    padded = manifest.sizes == "padded"
    return unpack_rows(
        plain, schema, manifest.compression, padded=padded, names=inside, short=short
    )


def open_rows(
    cipher: ChunkCipher,
    manifest: Manifest,
    read: Callable[[Digest], bytes],
    names: Sequence[str] = (),
    *,
    threads: int = 1,
    short: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Open all chunks in order, or with `names` those columns; `read` fetches one part by digest.

    Only when it is exhausted have all rows been seen. With several `threads` as many chunks are
    opened ahead; `read` is called in the caller's thread alone. Raises: DatasetError, CryptoError,
    FormatError, and what `read` raises.
    """
    full, every = True, range(manifest.whole_chunks)
    found = open_chunks(cipher, manifest, every, read, names, threads=threads, short=short)
    for index, batch in enumerate(found):
        full = full or starts_segment(manifest, index)
        if not full and batch.num_rows:
            raise DatasetError(f"{_version(manifest)} has rows after its last chunk of rows")
        full = batch.num_rows == rows_in_chunk(manifest, index)
        yield batch


def open_chunks(  # noqa: PLR0913  # what opens chunks, and how
    cipher: ChunkCipher,
    manifest: Manifest,
    chunks: range,
    read: Callable[[Digest], bytes],
    names: Sequence[str] = (),
    *,
    threads: int = 1,
    short: bool = False,
) -> Iterator[pa.RecordBatch]:
    """Open some chunks in order, ahead as `open_rows` does; whether all fit together is not seen.

    Raises: as `open_rows`.
    """
    if threads == 1 or len(chunks) == 1:
        for index in chunks:
            raw = fetch_chunk(manifest, index, read, names)
            yield open_chunk(cipher, manifest, index, raw, names, short=short)
        return
    ahead: deque[Future[pa.RecordBatch]] = deque()
    with ThreadPoolExecutor(threads, "open") as pool:
        try:
            for index in chunks:
                raw = fetch_chunk(manifest, index, read, names)
                ahead.append(
                    pool.submit(open_chunk, cipher, manifest, index, raw, names, short=short)
                )
                if len(ahead) > threads:
                    yield ahead.popleft().result()
            while ahead:
                yield ahead.popleft().result()
        finally:
            for waiting in ahead:
                waiting.cancel()


def rows_in_chunk(manifest: Manifest, index: int) -> int:
    """How many rows chunk `index` holds, or in a padded dataset has room for."""
    return manifest.place(index).rows


def starts_segment(manifest: Manifest, index: int) -> bool:
    """Whether a chunk is the first of its segment: rows may follow a segment that was not full."""
    return manifest.place(index).index == 0


def goes_on(manifest: Manifest, chunks: range) -> tuple[bool, bool]:
    """Whether a segment goes on in some chunks from earlier ones, and from them in later ones."""
    before, after = (
        i < manifest.whole_chunks and not starts_segment(manifest, i)
        for i in (chunks.start, chunks.stop)
    )
    return before, after


def _version(manifest: Manifest) -> str:
    return f"{manifest.dataset} version {manifest.version}"
