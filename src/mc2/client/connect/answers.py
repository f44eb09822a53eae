"""Tables as the messages that carry them to the client."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
from google.protobuf import json_format

from mc2.client.connect.proto import base_pb2, types_pb2
from mc2.formats.schema import DataType
from mc2.planner.connect.types import schema_message

_BATCH_ROWS: Final = 64 * 1024
_MESSAGE_BYTES: Final = 16 * 1024 * 1024

Columns = Sequence[tuple[str, DataType, bool]]
"""Name, type, and whether NULL may stand in it."""


def schema_proto(columns: Columns) -> types_pb2.DataType:
    """A schema as a message."""
    message = types_pb2.DataType()
    json_format.ParseDict(schema_message(columns), message)
    return message


def table_responses(table: pa.Table, columns: Columns) -> Iterator[base_pb2.ExecutePlanResponse]:
    """The schema, then the rows in batches; one empty batch if there are none."""
    first = base_pb2.ExecutePlanResponse()
    first.schema.CopyFrom(schema_proto(columns))
    yield first
    named = table.rename_columns([name for name, _, _ in columns])
    start = 0
    for batch in _batches(named):
        response = base_pb2.ExecutePlanResponse()
        response.arrow_batch.row_count = batch.num_rows
        response.arrow_batch.start_offset = start
        response.arrow_batch.data = _stream(batch)
        start += batch.num_rows
        yield response


def _batches(table: pa.Table) -> Iterator[pa.RecordBatch]:
    if table.num_columns == 0:
        empty = pa.record_batch([pa.nulls(table.num_rows)], names=["x"]).select([])
        yield empty
        return
    if table.num_rows == 0:
        yield pa.RecordBatch.from_arrays(
            [pa.array([], type=f.type) for f in table.schema], schema=table.schema
        )
        return
    for batch in table.combine_chunks().to_batches(max_chunksize=_BATCH_ROWS):
        yield from _small(batch)


def _small(batch: pa.RecordBatch) -> Iterator[pa.RecordBatch]:
    """Halves until a message holds each: gRPC's messages have a largest size."""
    if batch.get_total_buffer_size() <= _MESSAGE_BYTES or batch.num_rows <= 1:
        yield batch
        return
    half = batch.num_rows // 2
    for part in (batch.slice(0, half), batch.slice(half)):
        yield from _small(pa.Table.from_batches([part]).combine_chunks().to_batches()[0])


def _stream(batch: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return bytes(sink.getvalue())
