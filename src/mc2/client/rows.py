"""Cuts a table into chunks of exactly so many rows, holding no more than one chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from mc2.errors import DatasetError
from mc2.formats.limits import LIMITS

_TARGET_BYTES: Final = 8 << 20
_MOST_BYTES: Final = 32 << 20  # leaves room for chunks that are larger than the average
_MOST_ROWS: Final = 1 << 18
_USUAL_ROWS: Final = 1 << 16


def choose_rows_per_chunk(row_bytes: float) -> int:
    """How many rows a chunk gets: 65,536 to 262,144 for about 8 MiB, fewer only if rows are wide.

    Powers of two: coarse, so that the number says little of the data.
    """
    rows = _MOST_ROWS
    while rows > _USUAL_ROWS and rows * row_bytes > _TARGET_BYTES:
        rows //= 2
    while rows > 1 and rows * row_bytes > _MOST_BYTES:
        rows //= 2
    return rows


def cut(table: str, batches: Iterable[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """Batches of exactly `rows` rows, the last one perhaps of fewer; none for no rows.

    Raises: DatasetError if so many rows do not fit into a chunk.
    """
    parts: list[pa.RecordBatch] = []
    have, size = 0, 0
    for batch in batches:
        start = 0
        while start < batch.num_rows:
            part = batch.slice(start, rows - have)
            parts.append(part)
            start += part.num_rows
            have += part.num_rows
            size += part.nbytes
            if size > LIMITS.chunk_plain_bytes:
                raise too_large(table, rows)
            if have == rows:
                yield _joined(parts)
                parts, have, size = [], 0, 0
    if parts:
        yield _joined(parts)


def _joined(parts: list[pa.RecordBatch]) -> pa.RecordBatch:
    return parts[0] if len(parts) == 1 else pa.concat_batches(parts)


def too_large(table: str, rows: int) -> DatasetError:
    """The error for a chunk beyond what a chunk may hold."""
    return DatasetError(
        f"{table}: {rows} rows do not fit into a chunk of {LIMITS.chunk_plain_bytes} bytes",
        hint=f"seal with fewer rows per chunk, for instance {max(1, rows // 8)}",
    )
