"""What sealing needs of a table: that it can be surveyed once and then read in that shape."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import pyarrow as pa

from mc2.errors import DatasetError, UsageError
from mc2.formats.arrow import arrow_type
from mc2.formats.schema import Schema

_STEP_BYTES: Final = 32 << 20

RowsRead = Callable[[int], None]
"""Told from time to time how many rows have been read so far."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What the first pass over the whole table found.

    `row_bytes` is the size of a row in memory, on average, in the stretch of the table where
    that is largest: chunks are sized by it.
    """

    schema: Schema
    rows: int
    row_bytes: float


class RowSource(Protocol):
    """A table that can be read more than once. Messages call it by `name`."""

    @property
    def name(self) -> str:
        """What the owner calls the table: a file's name, or the kind of frame."""
        ...

    def survey(self, progress: RowsRead) -> Survey:
        """Read the whole table and find its schema and size. Raises: DatasetError."""
        ...

    def batches(self, survey: Survey) -> Iterator[pa.RecordBatch]:
        """Read it again, in exactly that schema and number of rows. Raises: DatasetError."""
        ...


@dataclass(frozen=True, slots=True)
class FileStamp:
    """What a file's directory entry says, to notice that it was written to or replaced."""

    device: int
    inode: int
    size: int
    modified_ns: int

    @classmethod
    def of(cls, path: Path) -> FileStamp:
        """The stamp of a file now. Raises: UsageError if it cannot be read."""
        try:
            found = path.stat()
        except OSError as error:
            raise UsageError(f"cannot read {path}: {error.strerror}") from None
        return cls(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)


@contextmanager
def unchanged(path: Path, stamp: FileStamp) -> Iterator[None]:
    """Read a file in here: it must be the one of the stamp, before and afterwards.

    Raises: DatasetError, also for whatever Arrow says of a damaged file.
    """
    if FileStamp.of(path) != stamp:
        raise changed(path.name)
    with readable(path):
        yield
    if FileStamp.of(path) != stamp:
        raise changed(path.name)


@contextmanager
def readable(path: Path) -> Iterator[None]:
    """Name the file in Arrow's complaints about it. Raises: DatasetError."""
    try:
        yield
    except (pa.ArrowException, OSError, EOFError, ValueError):
        # Arrow's own message is left out: it may quote values.
        raise DatasetError(
            f"{path.name} cannot be read: it is damaged, cut off or of another format",
            hint="check that it opens in the program that made it, and that its ending is right",
        ) from None


def fixed_row_bytes(schema: Schema) -> float:
    """The size of a row in memory, without the columns whose values differ in length."""
    bits = sum(
        arrow_type(column.type).bit_width + 1  # and one for being NULL
        for column in schema.columns
        if not column.type.has_width
    )
    return float(bits / 8)


def rows_per_step(row_bytes: float, most: int) -> int:
    """How many rows to hold at once: a power of two, so that steps add up to chunks."""
    rows = most
    while rows > 1 and rows * row_bytes > _STEP_BYTES:
        rows //= 2
    return rows


def changed(name: str) -> DatasetError:
    """The error for a table that was not the same when read again."""
    return DatasetError(
        f"{name} changed while it was being read",
        hint="let whoever writes to it finish, then seal again",
    )


def exactly(name: str, rows: int, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Pass batches on if together they have the number of rows. Raises: DatasetError."""
    seen = 0
    for batch in batches:
        seen += batch.num_rows
        if seen > rows:
            raise changed(name)
        if batch.num_rows:
            yield batch
    if seen != rows:
        raise changed(name)
