"""The job's inputs as the engine reads them: sealed chunks, opened one at a time. Step E17."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, Mc2Error
from mc2.formats.dataset_open import goes_on, open_plain, open_rows, places_of, segment_bounds
from mc2.formats.fixed import ChunkForm
from mc2.formats.manifest import Manifest, chunk_count
from mc2.formats.schema import Schema


class SealedTable:
    """One input: a source of rows that are checked and opened as they are read.

    `failure` keeps what went wrong while reading. Engines pass rows through foreign code, which
    may turn our errors into its own; with it the session still reports the true one.
    `whole` says whether some columns of all chunks have been seen at least once. Chunks are
    opened in `threads`.
    """

    def __init__(
        self,
        manifest: Manifest,
        cipher: ChunkCipher,
        read_chunk: Callable[[Digest], bytes],
        *,
        threads: int = 1,
    ) -> None:
        self._manifest = manifest
        self._cipher: ChunkCipher | None = cipher
        self._read_chunk = read_chunk
        self._threads = threads
        self._names: tuple[str, ...] = ()
        self.failure: Mc2Error | None = None
        self.whole = False

    @property
    def schema(self) -> Schema:
        """The table's columns."""
        return self._manifest.schema

    @property
    def coded(self) -> bool:
        """Whether texts of named columns may come by codes."""
        return self._manifest.compression != "none"

    @property
    def row_bound(self) -> int:
        """No more rows than these."""
        return self._manifest.row_bound

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order. Raises: DatasetError, CryptoError, FormatError, GrantError."""
        return self.columns(())

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in the schema's order; all columns if none is named.

        Named decimals of at most 18 digits may come in 64 bits, named texts by codes. Who asks for
        columns and then reads none of the rows has told `read_rest` what the plan reads. Raises:
        as `batches`.
        """
        self._names = tuple(names)
        return self._rows(names)

    def _rows(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        if self._cipher is None:
            raise RuntimeError("the table was closed")
        try:
            yield from open_rows(
                self._cipher,
                self._manifest,
                self._read_chunk,
                names,
                threads=self._threads,
                short=bool(names),
            )
            self.whole = True
        except Mc2Error as error:
            self.failure = error
            raise

    @property
    def form(self) -> ChunkForm:
        """What is public of the chunks of a padded table without lists and structs."""
        manifest = self._manifest
        return ChunkForm(
            manifest.schema, manifest.facts, places_of(manifest), segment_bounds(manifest)
        )

    def plains(self) -> Iterator[bytes]:
        """The plaintexts of all chunks, in order: nobody has looked at a value of them.

        Raises: DatasetError, CryptoError, GrantError.
        """
        if self._cipher is None:
            raise RuntimeError("the table was closed")
        if not self._manifest.fixed:
            raise DatasetError(
                f"{self._manifest.dataset} has no fixed places",
                hint="let its owner upload it with --padded, without lists and structs",
            )
        try:
            for index, chunk in enumerate(self._manifest.chunks):
                raw = self._read_chunk(chunk.digest)
                yield open_plain(self._cipher, self._manifest, index, raw)
            self.whole = True
        except Mc2Error as error:
            self.failure = error
            raise

    def read_rest(self) -> None:
        """See all chunks that no engine asked for: a query may need no row of a table.

        The receipt says that the plan ran over exactly these datasets, so a host must not get it
        for a dataset of which it has lost or altered what the plan reads: the columns that the
        engine asked for, or all if it asked for none. Raises: as `batches`.
        """
        if not self.whole:
            for _ in self.columns(self._names):
                pass

    def close(self) -> None:
        """Forget the key."""
        self._cipher = None


class TablePart:
    """Some chunks of a padded input, one after the other, as an oblivious engine reads them."""

    def __init__(
        self,
        manifest: Manifest,
        cipher: ChunkCipher,
        chunks: range,
        read_chunk: Callable[[Digest], bytes],
    ) -> None:
        self._manifest = manifest
        self._cipher = cipher
        self._chunks = chunks
        self._read_chunk = read_chunk

    @property
    def form(self) -> ChunkForm:
        """What is public of these chunks."""
        manifest = self._manifest
        segments = segments_of(manifest, self._chunks)
        form = manifest.schema, manifest.facts, places_of(manifest), segments
        return ChunkForm(*form, goes_on(manifest, self._chunks))

    def plains(self) -> Iterator[bytes]:
        """The plaintexts of these chunks, in order. Raises: as `SealedTable.plains`."""
        for index in self._chunks:
            raw = self._read_chunk(self._manifest.chunks[index].digest)
            yield open_plain(self._cipher, self._manifest, index, raw)


def segments_of(manifest: Manifest, chunks: range) -> tuple[int, ...]:
    """The bounds of the runs of rows that some chunks hold, of those that were sealed at once."""
    places, found, start = manifest.rows_per_chunk, [], 0
    for bound in segment_bounds(manifest):
        end = start + chunk_count(bound, places)
        first, last = max(start, chunks.start), min(end, chunks.stop)
        if first < last:
            found.append(min(bound, (last - start) * places) - (first - start) * places)
        start = end
    return tuple(found)


def chunk_places(manifest: Manifest) -> tuple[int, ...]:
    """How many places for rows each chunk of a padded table has."""
    count = len(manifest.chunks)
    return tuple(sum(segments_of(manifest, range(i, i + 1))) for i in range(count))
