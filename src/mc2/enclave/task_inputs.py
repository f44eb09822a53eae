"""What a task reads: chunks of datasets, and blocks of other tasks, as tables for the engine.

Both remember what was opened, since an engine may stop early, and a receipt says that all of it
was there and whole.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import pyarrow as pa

from mc2.crypto.chunks import ChunkCipher
from mc2.crypto.digest import Digest
from mc2.errors import DatasetError, FormatError, Mc2Error
from mc2.formats.block import BlockCipher, BlockPlace, BlockRef
from mc2.formats.dataset_open import (
    fetch_chunk,
    goes_on,
    open_chunk,
    open_chunks,
    open_plain,
    places_of,
    rows_in_chunk,
    starts_segment,
)
from mc2.formats.fixed import ChunkForm
from mc2.formats.manifest import Manifest
from mc2.formats.schema import Schema

T = TypeVar("T")
ReadBlob = Callable[[Digest], bytes]
"""Fetches what the host keeps under a digest. What comes back is believed nothing."""


class TaskSource(ABC):
    """A source of a task: numbered pieces, each opened and checked whenever it is read.

    `failure` keeps what went wrong, which the engine would turn into its own error.
    """

    def __init__(self, schema: Schema, pieces: int) -> None:
        self._schema = schema
        self._rows: dict[int, int] = {}
        self._pieces = pieces
        self._names: tuple[str, ...] = ()
        self.failure: Mc2Error | None = None

    @property
    def schema(self) -> Schema:
        """The columns."""
        return self._schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """All rows, in order. Raises: DatasetError, CryptoError, FormatError."""
        for number in range(self._pieces):
            yield self._piece(number)

    def read_rest(self) -> None:
        """Open what the engine left out of the columns that it reads. Raises: as `batches`."""
        for number in range(self._pieces):
            if number not in self._rows:
                self._piece(number, self._names)
        try:
            self._check_rows([self._rows[n] for n in range(self._pieces)])
        except Mc2Error as error:
            self.failure = error
            raise

    @property
    def rows(self) -> int:
        """How many rows there are, once all was read."""
        return sum(self._rows.values())

    def _piece(self, number: int, names: Sequence[str] = ()) -> pa.RecordBatch:
        batch = self._kept(lambda: self._open(number, names))
        self._rows[number] = batch.num_rows
        return batch

    def _kept(self, read: Callable[[], T]) -> T:
        """What is read; if that fails, the failure is kept. Raises: what `read` raises."""
        try:
            return read()
        except Mc2Error as error:
            self.failure = error
            raise

    @abstractmethod
    def _open(self, number: int, names: Sequence[str]) -> pa.RecordBatch:
        """One piece, opened and checked."""

    @abstractmethod
    def _check_rows(self, rows: list[int]) -> None:
        """Whether the pieces fit together. Raises: FormatError."""


class ChunkRange(TaskSource):
    """Some chunks of a dataset, one after the other, opened in `threads`."""

    def __init__(
        self,
        manifest: Manifest,
        cipher: ChunkCipher,
        chunks: range,
        read: ReadBlob,
        *,
        threads: int = 1,
    ) -> None:
        super().__init__(manifest.schema, len(chunks))
        self._manifest = manifest
        self._cipher = cipher
        self._chunks = chunks
        self._read = read
        self._threads = threads

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of all rows, in the schema's order; all columns if none is named.

        Raises: as `batches`.
        """
        self._names = tuple(names)
        return self._ahead(names)

    def _ahead(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        found = open_chunks(
            self._cipher,
            self._manifest,
            self._chunks,
            partial(fetched, self._read),
            names,
            threads=self._threads,
            short=bool(names),
        )
        for number in range(self._pieces):
            batch = self._kept(partial(next, found))
            self._rows[number] = batch.num_rows
            yield batch

    @property
    def coded(self) -> bool:
        """Whether texts of named columns may come by codes."""
        return self._manifest.compression != "none"

    @property
    def form(self) -> ChunkForm:
        """What is public of these chunks, in a padded table without lists and structs."""
        segments: list[int] = []
        for place, index in enumerate(self._chunks):
            if not place or starts_segment(self._manifest, index):
                segments.append(0)
            segments[-1] += rows_in_chunk(self._manifest, index)
        manifest = self._manifest
        form = manifest.schema, manifest.facts, places_of(manifest), tuple(segments)
        return ChunkForm(*form, goes_on(manifest, self._chunks))

    def plains(self) -> Iterator[bytes]:
        """The plaintexts of the chunks: nobody has looked at a value of them.

        So as many rows count as read as there are places. Raises: DatasetError, CryptoError.
        """
        for number, index in enumerate(self._chunks):
            yield self._kept(partial(self._plain, index))
            self._rows[number] = rows_in_chunk(self._manifest, index)

    def _plain(self, index: int) -> bytes:
        if not self._manifest.fixed:
            raise DatasetError(
                f"{self._manifest.dataset} has no fixed places",
                hint="let its owner upload it with --padded, without lists and structs",
            )
        raw = fetched(self._read, self._manifest.chunks[index].digest)
        return open_plain(self._cipher, self._manifest, index, raw)

    def _open(self, number: int, names: Sequence[str]) -> pa.RecordBatch:
        index = self._chunks[number]
        raw = fetch_chunk(self._manifest, index, lambda d: fetched(self._read, d), names)
        return open_chunk(self._cipher, self._manifest, index, raw, names, short=bool(names))

    def _check_rows(self, rows: list[int]) -> None:
        short = False
        for index, count in zip(self._chunks, rows, strict=True):
            short = short and not starts_segment(self._manifest, index)
            if short and count:
                raise FormatError(f"{self._manifest.dataset} has rows after its last chunk of rows")
            short = count < rows_in_chunk(self._manifest, index)


@dataclass(frozen=True, slots=True)
class SealedBlock:
    """A block that a receipt names, its place, and what opens it."""

    cipher: BlockCipher
    place: BlockPlace
    named: BlockRef


class BlockSequence(TaskSource):
    """The blocks of one exchange that are for this task, producer after producer."""

    def __init__(self, schema: Schema, blocks: list[SealedBlock], read: ReadBlob) -> None:
        super().__init__(schema, len(blocks))
        self._blocks = blocks
        self._read = read

    def _open(self, number: int, names: Sequence[str]) -> pa.RecordBatch:
        if names:
            raise ValueError("a block holds what its reader wants, and no more")
        block = self._blocks[number]
        raw = fetched(self._read, block.named.digest)
        return block.cipher.open(block.place, block.named, self.schema, raw)

    def _check_rows(self, rows: list[int]) -> None:
        """Any blocks fit together: each was opened in its place, as its producer signed it."""

    def plains(self) -> list[bytes]:
        """The plaintexts of all blocks, of which nothing was looked at. Raises: as `batches`."""
        found = []
        for number, block in enumerate(self._blocks):
            found.append(self._kept(partial(self._plain, block)))
            self._rows[number] = block.named.rows
        return found

    def _plain(self, block: SealedBlock) -> bytes:
        raw = fetched(self._read, block.named.digest)
        return block.cipher.open_plain(block.place, block.named, self.schema.digest, raw)


def fetched(read: ReadBlob, name: Digest) -> bytes:
    """What the host keeps under a digest. Raises: DatasetError if it has nothing."""
    try:
        return read(name)
    except Mc2Error:
        raise
    except Exception as error:
        raise DatasetError(
            f"the host did not give {name}: {type(error).__name__}", hint="run the job again"
        ) from error
