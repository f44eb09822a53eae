"""One batch of rows as an Arrow IPC stream, written plainly and read with suspicion.

Arrow's own reader checks that it stays inside its bytes; here stands what it leaves open and a
hostile owner could use: more or other messages than one schema, the texts of coded columns and one
batch, types that carry
code or indirection, bytes after the end, and a few kilobytes that decompress to terabytes.
Spec: docs/spec/dataset.md, section "Rows".
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from mc2.errors import FormatError
from mc2.formats.arrow import arrow_schema
from mc2.formats.codes import is_coded, spelled_bytes
from mc2.formats.limits import LIMITS
from mc2.formats.narrow import is_whole, narrowed, travelling_schema, widened
from mc2.formats.schema import Schema

_END: Final = b"\xff\xff\xff\xff\x00\x00\x00\x00"
_ARROW_V5: Final = 4
_OFFSET_BYTES: Final = 4
_CODECS: Final = {"lz4": 0, "zstd": 1}
_WRONG: Final = (pa.ArrowException, OSError, EOFError, ValueError, TypeError, OverflowError)


def write_options(compression: str) -> ipc.IpcWriteOptions:
    """How batches are written: `none`, `lz4` or `zstd`, buffer by buffer, in this thread."""
    codec = None if compression == "none" else compression
    return ipc.IpcWriteOptions(compression=codec, use_threads=False)


def write_rows(batch: pa.RecordBatch, compression: str, out: pa.NativeFile) -> None:
    """Write a batch as a stream of one schema, the texts of codes, one batch and the end mark."""
    if compression != "none":
        batch = narrowed(batch)
    with ipc.new_stream(out, batch.schema, options=write_options(compression)) as writer:
        writer.write_batch(batch)


def read_rows(
    payload: pa.Buffer,
    schema: Schema,
    compression: str,
    names: Sequence[str] = (),
    *,
    short: bool = False,
) -> pa.RecordBatch:
    """Read such a stream, which may come from anybody, into a batch of exactly this schema.

    The batch is fully validated (offsets, UTF-8, decimal digits, NULLs only where allowed) and
    may share the payload's memory. With `names` it has these columns alone, in the schema's order;
    the others are neither inflated nor looked at. With `short`, decimals of at most 18 digits come
    in 64 bits. Raises: FormatError.
    """
    expected = arrow_schema(schema)
    try:
        body, travelling = _batch_message(payload, expected, compression)
        if names:
            batch = _some_columns(payload, travelling, names)
            expected = pa.schema([expected.field(name) for name in batch.schema.names])
        else:
            batch = _all_columns(payload, body, travelling)
        for column in batch.columns:
            _check_offsets(column.type, iter(column.buffers()))
            if is_coded(column.type):
                _check_offsets(pa.string(), iter(column.dictionary.buffers()))
        batch.validate(full=True)
        if compression != "none":
            batch = _widened(batch, expected, short=short)
    except FormatError:
        raise
    except _WRONG:  # Arrow's messages may quote values
        raise FormatError("the rows of a chunk are not a valid Arrow stream") from None
    for field, column in zip(expected, batch.columns, strict=True):
        if column.null_count and not field.nullable:
            raise FormatError(f"column {field.name!r} holds NULL, which its schema excludes")
    return batch


def _all_columns(payload: pa.Buffer, body: ipc.Message, travelling: pa.Schema) -> pa.RecordBatch:
    """All columns of such a stream; texts that are coded stand in messages before the batch."""
    if any(is_coded(field.type) for field in travelling):
        return _some_columns(payload, travelling, travelling.names)
    return ipc.read_record_batch(body, travelling)


def _some_columns(payload: pa.Buffer, expected: pa.Schema, names: Sequence[str]) -> pa.RecordBatch:
    """Some columns of the one batch of a stream whose messages have been checked."""
    places = sorted(expected.get_field_index(name) for name in names)
    options = ipc.IpcReadOptions(included_fields=places, use_threads=False)
    with ipc.open_stream(payload, options=options) as reader:
        batch = reader.read_next_batch()
    if not batch.schema.equals(pa.schema([expected.field(i) for i in places])):
        raise FormatError("the rows of a chunk are not in the table's schema")
    return batch


def _widened(batch: pa.RecordBatch, expected: pa.Schema, *, short: bool) -> pa.RecordBatch:
    room = batch.num_rows * sum(f.type.bit_width // 8 for f in expected if is_whole(f.type))
    texts = [column for column in batch.columns if is_coded(column.type)]
    if texts:
        room += spelled_bytes(texts, LIMITS.chunk_plain_bytes - room)
    if room > LIMITS.chunk_plain_bytes:  # checked before widening, as inflating is
        raise FormatError(f"the rows of a chunk widen beyond {LIMITS.chunk_plain_bytes} bytes")
    arrays = [
        widened(column, field.type, short=short)
        for column, field in zip(batch.columns, expected, strict=True)
    ]
    fields = [f.with_type(a.type) for f, a in zip(expected, arrays, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields))


def _batch_message(
    payload: pa.Buffer, expected: pa.Schema, compression: str
) -> tuple[ipc.Message, pa.Schema]:
    """The message of the batch, and the schema in which it travels."""
    reader = pa.BufferReader(payload)
    head, body = ipc.read_message(reader), ipc.read_message(reader)
    if head.type != "schema":
        raise FormatError("the rows of a chunk do not start with a schema")
    found = ipc.read_schema(head)
    inflated = 0
    for number in range(sum(is_coded(field.type) for field in found)):
        inflated += _check_texts_message(body, compression, number)
        body = ipc.read_message(reader)
    if body.type != "record batch":
        raise FormatError("the rows of a chunk are not one schema, its texts and one batch")
    if reader.read() != _END:
        raise FormatError("the rows of a chunk do not end after one batch")
    inflated += _check_batch_message(body, compression)
    if inflated > LIMITS.chunk_plain_bytes:
        raise FormatError(f"the rows of a chunk inflate beyond {LIMITS.chunk_plain_bytes} bytes")
    travelling = expected if compression == "none" else travelling_schema(found, expected)
    if not found.equals(travelling, check_metadata=True):
        raise FormatError("the rows of a chunk are not in the table's schema")
    return body, travelling


def _check_offsets(kind: pa.DataType, buffers: Iterator[pa.Buffer | None]) -> None:
    """Check that offsets are there and start at zero, even where they point at nothing.

    Arrow's own validation skips the offsets of empty arrays; several of its functions, and
    engines that follow them, then read at address zero or far outside of the array.
    """
    next(buffers)  # which values are NULL
    if pa.types.is_struct(kind):
        for field in kind:
            _check_offsets(field.type, buffers)
        return
    second = next(buffers)
    if not (pa.types.is_string(kind) or pa.types.is_binary(kind) or pa.types.is_list(kind)):
        return
    if second is None or second.size < _OFFSET_BYTES or any(memoryview(second)[:_OFFSET_BYTES]):
        raise FormatError("the offsets of a column are missing or do not start at zero")
    if pa.types.is_list(kind):
        _check_offsets(kind.value_type, buffers)
    else:
        next(buffers)  # the bytes of all values


def _check_batch_message(message: ipc.Message, compression: str) -> int:
    """Check a batch before Arrow allocates what it claims: how many bytes that is."""
    flat = _Flat(message.metadata)
    return _check_batch(flat, _header(flat, message), message.body, compression)


def _check_texts_message(message: ipc.Message, compression: str, number: int) -> int:
    """Check the texts of the coded column `number`: how many bytes they inflate to."""
    if message.type != "dictionary":
        raise FormatError("the texts of a chunk's codes are missing")
    flat = _Flat(message.metadata)
    header = _header(flat, message)
    id_at, delta_at = flat.field(header, 0), flat.field(header, 2)
    if (flat.long(id_at), flat.byte(delta_at)) != (number, 0):
        raise FormatError("the texts of a chunk's codes are not in their columns' order")
    return _check_batch(flat, flat.follow(flat.field(header, 1)), message.body, compression)


def _header(flat: _Flat, message: ipc.Message) -> int:
    """Where a message's own table stands."""
    if message.metadata_version != _ARROW_V5:
        raise FormatError("the rows of a chunk are in an old version of Arrow's format")
    root = flat.root()
    if flat.field(root, 4):
        raise FormatError("the rows of a chunk carry metadata of their own")
    return flat.follow(flat.field(root, 2))


def _check_batch(flat: _Flat, batch: int, body: pa.Buffer, compression: str) -> int:
    codec_at = flat.field(batch, 3)
    if compression == "none":
        if codec_at:
            raise FormatError("the rows of a chunk are compressed, and the table says they are not")
        return 0
    codec = flat.byte(flat.field(flat.follow(codec_at), 0)) if codec_at else None
    if codec != _CODECS[compression]:
        raise FormatError(f"the rows of a chunk are not compressed by {compression}")
    return _inflated_bytes(flat, batch, body)


def _inflated_bytes(flat: _Flat, batch: int, body: pa.Buffer) -> int:
    """Sum what the buffers of a compressed batch say that they inflate to."""
    view = memoryview(body)
    total = 0
    for offset, length in flat.pairs(flat.field(batch, 2)):
        if length == 0:
            continue
        if offset < 0 or length < 8 or offset + length > len(view):
            raise FormatError("a buffer of a chunk lies outside of it")
        (claimed,) = struct.unpack_from("<q", view, offset)
        total += length - 8 if claimed == -1 else claimed
        if claimed < -1:
            raise FormatError("a buffer of a chunk claims a negative size")
    return total


class _Flat:
    """As much of FlatBuffers as it takes to look into an Arrow message; zero means absent."""

    def __init__(self, raw: pa.Buffer) -> None:
        self._raw = memoryview(raw)

    def _read(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self._raw) - struct.calcsize(form):
            raise FormatError("the metadata of a chunk's rows is damaged")
        found: int = struct.unpack_from(form, self._raw, at)[0]
        return found

    def root(self) -> int:
        return self._read("<I", 0)

    def field(self, table: int, number: int) -> int:
        """Where field `number` of a table stands, or zero if the table leaves it out."""
        directory = table - self._read("<i", table)
        if self._read("<H", directory) < 6 + 2 * number:
            return 0
        offset = self._read("<H", directory + 4 + 2 * number)
        return table + offset if offset else 0

    def follow(self, at: int) -> int:
        return at + self._read("<I", at)

    def byte(self, at: int) -> int:
        return self._read("<b", at) if at else 0

    def long(self, at: int) -> int:
        return self._read("<q", at) if at else 0

    def pairs(self, at: int) -> list[tuple[int, int]]:
        """A vector of structs of two 64-bit integers each."""
        if not at:
            return []
        start = self.follow(at)
        count = self._read("<I", start)
        if start + 4 + 16 * count > len(self._raw):
            raise FormatError("the metadata of a chunk's rows is damaged")
        return list(struct.iter_unpack("<qq", self._raw[start + 4 : start + 4 + 16 * count]))
