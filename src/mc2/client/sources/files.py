"""Parquet and Arrow files, read in steps of bounded size."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import ipc, parquet

from mc2.client.sources.source import FileStamp, readable, rows_per_step, unchanged
from mc2.client.sources.typed import TypedSource
from mc2.formats.schema import Column

_STEP_ROWS: Final = 1 << 16
_READ_BUFFER: Final = 1 << 20
_ARROW_FILE_MAGIC: Final = b"ARROW1"


def from_parquet(path: Path, declared: Mapping[str, Column]) -> TypedSource:
    """A Parquet file. Raises: UsageError, DatasetError."""
    stamp = FileStamp.of(path)
    with readable(path), _parquet(path) as file:
        arrow, metadata = file.schema_arrow, file.metadata
        stored = sum(metadata.row_group(i).total_byte_size for i in range(metadata.num_row_groups))
        step = rows_per_step(stored / max(1, metadata.num_rows), _STEP_ROWS)

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        # Names are given only for a part: Parquet takes a dot in them for a path.
        names = None if set(columns) == set(arrow.names) else list(columns)
        with unchanged(path, stamp), _parquet(path) as file:
            yield from file.iter_batches(step, columns=names, use_threads=False)

    return TypedSource(path.name, arrow, read, declared)


def _parquet(path: Path) -> parquet.ParquetFile:
    return parquet.ParquetFile(
        path,
        buffer_size=_READ_BUFFER,  # read by pages, not by whole column chunks
        pre_buffer=False,
        page_checksum_verification=True,
        arrow_extensions_enabled=False,
    )


def from_arrow_file(path: Path, declared: Mapping[str, Column]) -> TypedSource:
    """An Arrow IPC file or stream. Raises: UsageError, DatasetError."""
    stamp = FileStamp.of(path)
    with readable(path), pa.OSFile(str(path)) as file:
        is_file = file.read(len(_ARROW_FILE_MAGIC)) == _ARROW_FILE_MAGIC
        file.seek(0)
        arrow = (ipc.open_file(file) if is_file else ipc.open_stream(file)).schema

    def read(_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with unchanged(path, stamp), pa.OSFile(str(path)) as file:
            if is_file:
                reader = ipc.open_file(file)
                found = (reader.get_batch(i) for i in range(reader.num_record_batches))
                yield from in_steps(found)
            else:
                yield from in_steps(ipc.open_stream(file))

    return TypedSource(path.name, arrow, read, declared)


def in_steps(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Cut batches so that converting one takes bounded memory."""
    for batch in batches:
        step = rows_per_step(batch.nbytes / max(1, batch.num_rows), _STEP_ROWS)
        for start in range(0, batch.num_rows, step):
            yield batch.slice(start, step)
