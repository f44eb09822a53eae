"""Cuts a table into chunks of exactly so many rows, holding no more than one chunk."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import pyarrow as pa

from mc2.errors import DatasetError
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema

_TARGET_BYTES: Final = 8 << 20
_PARTED_BYTES: Final = 24 << 20
_MOST_BYTES: Final = 32 << 20  # leaves room for chunks that are larger than the average
_MOST_ROWS: Final = 1 << 18
_USUAL_ROWS: Final = 1 << 16
_PART_BYTES: Final = 128 << 10
"""What is smaller is not worth a blob, a digest and checks of its own."""
_MOST_PARTS: Final = 64
_LONG_BYTES: Final = 16  # texts, lists and all that is rarely shorter
_VALUE_BYTES: Final = {
    "boolean": 1, "int8": 1, "int16": 2, "int32": 4, "date": 4, "float": 4,
    "int64": 8, "double": 8, "timestamp": 8, "timestamp_utc": 8, "decimal": 8,
}  # fmt: skip


def choose_rows_per_chunk(row_bytes: float, *, parted: bool = False) -> int:
    """How many rows a chunk gets: 65,536 to 262,144 for about 8 MiB, fewer only if rows are wide.

    Chunks in parts get 24 MiB, since a reader seldom opens all of one. Powers of two: coarse, so
    that the number says little of the data.
    """
    rows = _MOST_ROWS
    target = _PARTED_BYTES if parted else _TARGET_BYTES
    while rows > _USUAL_ROWS and rows * row_bytes > target:
        rows //= 2
    while rows > 1 and rows * row_bytes > _MOST_BYTES:
        rows //= 2
    return rows


def choose_cuts(schema: Schema, rows: int, chunks: int) -> tuple[int, ...]:
    """Before which columns chunks of so many rows are cut into parts, by public facts alone.

    A column is a part of its own if it is large enough; small ones share one with their
    neighbours. There are at most 64 parts, and fewer in tables of very many chunks.
    """
    sizes = [rows * _VALUE_BYTES.get(c.type.name, _LONG_BYTES) for c in schema.columns]
    most = max(1, min(_MOST_PARTS, LIMITS.chunks // (2 * chunks)))
    least = max(_PART_BYTES, -(-sum(sizes) // most))
    cuts, have = [], 0
    for place, size in enumerate(sizes):
        if place and have + size > least:
            cuts.append(place)
            have = 0
        have += size
    while len(cuts) >= most:
        cuts = cuts[1::2]
    return tuple(cuts)


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
