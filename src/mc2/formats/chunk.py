"""The plaintext of a chunk: a header, a payload, and zeros where sizes are hidden.

::

    0   4  magic "MC2C"
    4   4  rows, unsigned, big-endian; 0 for a payload that is no table
    8   8  length of the payload in bytes, unsigned, big-endian
    16  n  payload: one Arrow IPC stream of one batch, or the raw bytes of a model
    ..     zeros up to the size of every other chunk, only in padded tables

Spec: docs/spec/dataset.md, section "Chunk".
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import pyarrow as pa
from pyarrow import ipc

from mc2.errors import FormatError
from mc2.formats.ipc import read_rows, write_rows
from mc2.formats.limits import LIMITS
from mc2.formats.schema import Schema

MAGIC: Final = b"MC2C"
_HEADER: Final = struct.Struct(">4sIQ")
HEADER_BYTES: Final[int] = 16


@dataclass(frozen=True, slots=True)
class Unpacked:
    """What a chunk says: its number of rows, and the payload as a view of the chunk."""

    rows: int
    payload: memoryview


def pack(payload: bytes | memoryview, *, rows: int = 0, size: int = 0) -> bytes:
    """A chunk's plaintext; `size` bytes long, by zeros, if that is given.

    Raises: FormatError if the payload has no room in `size` or in what a chunk may hold.
    """
    plain = _header(rows, len(payload), size) + payload
    return plain.ljust(size, b"\x00")


def unpack(plain: bytes | memoryview, *, padded: bool = False) -> Unpacked:
    """Read a chunk's plaintext; bytes after the payload are zeros, and only if padded.

    Raises: FormatError.
    """
    view = memoryview(plain)
    if not HEADER_BYTES <= len(view) <= LIMITS.chunk_plain_bytes:
        raise FormatError("a chunk is shorter than its header or longer than allowed")
    magic, rows, length = _HEADER.unpack_from(view)
    if magic != MAGIC:
        raise FormatError("a chunk does not start with MC2C")
    if rows > LIMITS.chunk_rows:
        raise FormatError(f"a chunk has more than {LIMITS.chunk_rows} rows")
    end = HEADER_BYTES + length
    if end > len(view) or (end < len(view) and not padded):
        raise FormatError("a chunk is not as long as its header says")
    if bytes(view[end:]) != bytes(len(view) - end):
        raise FormatError("a chunk has something else than zeros after its payload")
    return Unpacked(rows, view[HEADER_BYTES:end])


def pack_rows(batch: pa.RecordBatch, compression: str = "none", *, size: int = 0) -> bytes:
    """The plaintext of a chunk of rows. Raises: FormatError if it becomes too large."""
    out = bytearray(room_for(batch))
    used = pack_rows_into(batch, compression, out, size=size)
    return bytes(memoryview(out)[:used]).ljust(size, b"\x00")


def room_for(batch: pa.RecordBatch) -> int:
    """An upper bound of a chunk's plaintext before padding, whatever the compression."""
    buffers = 3 * sum(_nodes(field.type) for field in batch.schema)
    framing: int = batch.schema.serialize().size + 64 * buffers + 1024
    rows_bytes: int = ipc.get_record_batch_size(batch)
    return HEADER_BYTES + rows_bytes + framing


def pack_rows_into(
    batch: pa.RecordBatch, compression: str, out: bytearray, *, size: int = 0
) -> int:
    """Pack into the front of a buffer that has room; the length used, less padding.

    With `size` the caller owes zeros from there up to `size`. Raises: FormatError.
    """
    writer = pa.FixedSizeBufferWriter(pa.py_buffer(out))
    writer.write(bytes(HEADER_BYTES))
    write_rows(batch, compression, writer)
    used: int = writer.tell()
    writer.close()
    out[:HEADER_BYTES] = _header(batch.num_rows, used - HEADER_BYTES, size)
    return used


def unpack_rows(
    plain: bytes | memoryview,
    schema: Schema,
    compression: str = "none",
    *,
    padded: bool = False,
    names: Sequence[str] = (),
    short: bool = False,
) -> pa.RecordBatch:
    """Read and fully validate a chunk of rows, which may come from anybody.

    With `names` only these columns, in the schema's order; with `short`, decimals of at most 18
    digits in 64 bits. The batch may share the chunk's memory.
    Raises: FormatError.
    """
    chunk = unpack(plain, padded=padded)
    batch = read_rows(pa.py_buffer(chunk.payload), schema, compression, names, short=short)
    if batch.num_rows != chunk.rows:
        raise FormatError("a chunk has not as many rows as its header says")
    return batch


def _header(rows: int, length: int, size: int) -> bytes:
    if not 0 <= rows <= LIMITS.chunk_rows:
        raise FormatError(f"a chunk holds at most {LIMITS.chunk_rows} rows")
    if HEADER_BYTES + length > (size or LIMITS.chunk_plain_bytes):
        raise FormatError("the payload is larger than a chunk may be")
    return _HEADER.pack(MAGIC, rows, length)


def _nodes(kind: pa.DataType) -> int:
    return 1 + sum(_nodes(kind.field(i).type) for i in range(kind.num_fields))
