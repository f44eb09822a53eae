"""Chunks in which each value has a place of its own: those of padded tables.

::

    0   4  magic "MC2F"
    4   4  rows that are there, unsigned, little-endian; the others are behind them, all zeros
    8      for each column, each part at a multiple of 8:
             a bit for each row, the lowest first: 1 where the value is not NULL (always there)
             booleans: a bit for each row; numbers: 1, 2, 4, 8 or 16 bytes each, little-endian;
             texts: their lengths in bytes, 4 bytes each, then their bytes, each in a place of the
             declared width rounded up to 8;
             lists: how many elements they have, 4 bytes each, then the elements as a column with as
             many places for each row as the declared width; structs: each field as a column

Where anything stands follows from schema, widths and the number of places alone, so that an
oblivious engine opens a chunk without looking at a value. Spec: docs/spec/dataset.md, section
"Fixed places".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import FormatError
from mc2.formats.arrow import arrow_schema, arrow_type
from mc2.formats.facts import TableFacts
from mc2.formats.limits import LIMITS
from mc2.formats.schema import DataType, Schema

MAGIC: Final = b"MC2F"
COUNT_AT: Final = 4
_HEADER_BYTES: Final = 8
_LENGTH_BYTES: Final = 4
_WIDE_DIGITS: Final = 18
_SIZES: Final = {
    "int8": 1, "int16": 2, "int32": 4, "date": 4, "float": 4,
    "int64": 8, "double": 8, "timestamp": 8, "timestamp_utc": 8,
}  # fmt: skip

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Places:
    """Where the parts of a column stand in a chunk, and how large a value is.

    `size` is zero for booleans, whose values are bits; for texts it is the size of their places,
    and `lengths` says where the lengths stand. Of lists and structs `parts` are the places of the
    elements, of which each list has `size`, or of the fields.
    """

    type: DataType
    known: int
    values: int
    size: int
    lengths: int = 0
    parts: tuple[Places, ...] = ()


@dataclass(frozen=True, slots=True)
class FixedPlaces:
    """A chunk with room for `rows` rows: its columns in order, and its size."""

    rows: int
    columns: tuple[Places, ...]
    size: int


@dataclass(frozen=True, slots=True)
class ChunkForm:
    """What is public of a table's chunks: its columns, where they stand, how many rows at most.

    `segments` are the bounds of the runs of rows that were sealed at once, each with chunks of its
    own. `goes_on`: whether the first of them began in chunks before these, and whether the last one
    ends in chunks after them.
    """

    schema: Schema
    facts: TableFacts
    places: FixedPlaces
    segments: tuple[int, ...]
    goes_on: tuple[bool, bool] = (False, False)

    @property
    def row_bound(self) -> int:
        """No more rows than these."""
        return sum(self.segments)


def value_bytes(kind: DataType, width: int = 0) -> int:
    """How many bytes a value takes; a boolean takes a bit, which is none."""
    if kind.name in {"string", "binary"}:
        return 8 * max(1, -(-width // 8))
    if kind.name == "decimal":
        return 16 if kind.precision > _WIDE_DIGITS else 8
    return 0 if kind.name == "boolean" else _SIZES[kind.name]


def fixed_places(schema: Schema, widths: Mapping[str, int], rows: int) -> FixedPlaces:
    """Where everything stands in a chunk of so many places."""
    at = _HEADER_BYTES
    columns = []
    for column in schema.columns:
        place, at = _place(column.type, widths, column.name, rows, at)
        columns.append(place)
    return FixedPlaces(rows, tuple(columns), at)


def _place(
    kind: DataType, widths: Mapping[str, int], path: str, rows: int, at: int
) -> tuple[Places, int]:
    """Where the parts of a column stand, and where they end; `path` as in declared widths."""
    bits = _aligned(-(-rows // 8))
    known, at = at, at + bits
    if kind.name == "struct":
        start, parts = at, []
        for name, inner in kind.fields:
            part, at = _place(inner, widths, f"{path}.{name}", rows, at)
            parts.append(part)
        return Places(kind, known, start, 0, 0, tuple(parts)), at
    lengths = 0
    if kind.has_width:
        lengths, at = at, at + _aligned(_LENGTH_BYTES * rows)
    if kind.element is not None:
        most = max(1, widths.get(path, 0))
        part, end = _place(kind.element, widths, f"{path}[]", rows * most, at)
        return Places(kind, known, at, most, lengths, (part,)), end
    size = value_bytes(kind, widths.get(path, 0))
    return Places(kind, known, at, size, lengths), at + (_aligned(size * rows) if size else bits)


def _aligned(size: int) -> int:
    return -(-size // 8) * 8


def header(rows: int) -> bytes:
    """The first bytes of a chunk with so many rows."""
    return MAGIC + rows.to_bytes(4, "little")


# --- Arrow to places


def pack_fixed(batch: pa.RecordBatch, places: FixedPlaces, out: bytearray | memoryview) -> None:
    """Write a chunk into the front of a buffer. Raises: FormatError if a value has no room."""
    if batch.num_rows > places.rows:
        raise FormatError(f"a chunk has room for {places.rows} rows")
    whole = np.frombuffer(out, np.uint8)[: places.size]
    whole[:] = 0
    whole[:_HEADER_BYTES] = np.frombuffer(header(batch.num_rows), np.uint8)
    for array, place in zip(batch.columns, places.columns, strict=True):
        _put_column(whole, place, array)


def _put_column(whole: Bytes, place: Places, array: pa.Array) -> None:
    known = np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False))
    _put(whole, place.known, np.packbits(known, bitorder="little"))
    if place.type.name == "struct":
        for part, inside in zip(place.parts, array.flatten(), strict=True):
            _put_column(whole, part, inside)
    elif place.type.element is not None:
        _put_lists(whole, place, array)
    elif place.type.has_width:
        _put_texts(whole, place, array)
    elif place.type.name == "boolean":
        values = pc.fill_null(array, fill_value=False).to_numpy(zero_copy_only=False)
        _put(whole, place.values, np.packbits(values, bitorder="little"))
    else:
        _put(whole, place.values, _numbers(array, place.type).view(np.uint8).reshape(-1))


def _put_lists(whole: Bytes, place: Places, array: pa.Array) -> None:
    """How many elements each list has, and these in its own places, NULL behind them."""
    lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    if len(lengths) and lengths.max() > place.size:
        raise FormatError("a list has no room in its place")
    _put(whole, place.lengths, lengths.astype("<u4").view(np.uint8))
    inside = np.arange(place.size)[None, :] < lengths[:, None]
    taken = np.where(inside, np.cumsum(inside).reshape(inside.shape) - 1, 0).reshape(-1)
    elements = array.flatten()  # those of NULL are left out
    _put_column(whole, place.parts[0], elements.take(pa.array(taken, mask=~inside.reshape(-1))))


def _put(whole: Bytes, at: int, part: Bytes) -> None:
    whole[at : at + len(part)] = part


def _numbers(array: pa.Array, kind: DataType) -> npt.NDArray[Any]:
    """The values as they stand in a chunk; zeros for NULL."""
    if kind.name == "decimal":
        raw = array.buffers()[1]
        pairs = np.frombuffer(raw or b"", np.uint64).reshape(-1, 2)
        pairs = pairs[array.offset : array.offset + len(array)].copy()
        pairs[~np.asarray(pc.is_valid(array).to_numpy(zero_copy_only=False))] = 0
        return pairs if kind.precision > _WIDE_DIGITS else np.ascontiguousarray(pairs[:, 0])
    if kind.name == "date":
        array = array.cast(pa.int32())
    elif kind.name in {"timestamp", "timestamp_utc"}:
        array = array.cast(pa.int64())
    filled = pc.fill_null(array, pa.scalar(0, array.type))
    return np.ascontiguousarray(filled.to_numpy(zero_copy_only=False))


def _put_texts(whole: Bytes, place: Places, array: pa.Array) -> None:
    filled = pc.fill_null(array, pa.scalar("" if place.type.name == "string" else b"", array.type))
    offsets = np.frombuffer(filled.buffers()[1] or b"", np.int32)
    offsets = offsets[filled.offset : filled.offset + len(filled) + 1].astype(np.int64)
    if not len(filled):
        return
    lengths = np.diff(offsets)
    if lengths.max() > place.size:
        raise FormatError("a text has no room in its place")
    _put(whole, place.lengths, lengths.astype("<u4").view(np.uint8))
    data = np.frombuffer(filled.buffers()[2] or b"", np.uint8)[offsets[0] : offsets[-1]]
    starts = np.arange(len(lengths), dtype=np.int64) * place.size - (offsets[:-1] - offsets[0])
    whole[place.values + np.arange(len(data)) + np.repeat(starts, lengths)] = data


# --- places to Arrow, where everybody may look at the rows


def unpack_fixed(plain: bytes | memoryview, schema: Schema, places: FixedPlaces) -> pa.RecordBatch:
    """Read and fully validate a chunk, which may come from anybody. Raises: FormatError."""
    whole = np.frombuffer(plain, np.uint8)
    if len(whole) != places.size or whole[:COUNT_AT].tobytes() != MAGIC:
        raise FormatError("a chunk is not as long as its columns say, or does not start with MC2F")
    rows = int.from_bytes(whole[COUNT_AT:_HEADER_BYTES].tobytes(), "little")
    if rows > min(places.rows, LIMITS.chunk_rows):
        raise FormatError("a chunk has more rows than places")
    try:
        arrays = [_array(whole, place, rows) for place in places.columns]
        batch = pa.record_batch(arrays, schema=arrow_schema(schema))
        batch.validate(full=True)
    except (pa.ArrowInvalid, ValueError):
        raise FormatError("a chunk holds a value that its column's type has not") from None
    for column, array in zip(schema.columns, batch.columns, strict=True):
        if array.null_count and not column.nullable:
            raise FormatError(f"the column {column.name!r} holds NULL, which its schema excludes")
    # One table, one encoding: bytes of NULLs, of rows that are not there and behind texts are 0.
    again = bytearray(places.size)
    pack_fixed(batch, places, again)
    if bytes(again) != bytes(plain):
        raise FormatError("a chunk has something else than zeros where nothing is")
    return batch


def _array(whole: Bytes, place: Places, rows: int) -> pa.Array:
    bits = whole[place.known : place.known + -(-rows // 8)]
    known = pa.py_buffer(bits.tobytes())
    kind = arrow_type(place.type)
    if place.parts:
        null = np.unpackbits(bits, count=rows, bitorder="little") == 0
        return _nested(whole, place, rows, pa.array(null))
    if place.type.has_width:
        return pa.Array.from_buffers(kind, rows, [known, *_text_buffers(whole, place, rows)])
    size = -(-rows // 8) if place.type.name == "boolean" else place.size * rows
    values = whole[place.values : place.values + size]
    if place.type.name == "decimal" and place.size != 2 * 8:
        narrow = values.view(np.int64) if rows else np.empty(0, np.int64)
        values = np.stack([narrow, narrow >> 63], axis=1).view(np.uint8).reshape(-1)
    return pa.Array.from_buffers(kind, rows, [known, pa.py_buffer(values.tobytes())])


def _nested(whole: Bytes, place: Places, rows: int, null: pa.Array) -> pa.Array:
    """Lists or structs, NULL where it is marked."""
    kind = arrow_type(place.type)
    if place.type.name == "struct":
        fields = [_array(whole, part, rows) for part in place.parts]
        return pa.StructArray.from_arrays(fields, fields=list(kind), mask=null)
    lengths = _lengths(whole, place, rows)
    if rows and lengths.max() > place.size:
        raise FormatError("a list is longer than its place")
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    inside = np.arange(place.size)[None, :] < lengths[:, None]
    elements = _array(whole, place.parts[0], rows * place.size)
    there = elements.filter(pa.array(inside.reshape(-1)))
    return pa.ListArray.from_arrays(pa.array(offsets), there, type=kind, mask=null)


def _lengths(whole: Bytes, place: Places, rows: int) -> npt.NDArray[np.int64]:
    raw = whole[place.lengths : place.lengths + _LENGTH_BYTES * rows].tobytes()
    return np.frombuffer(raw, "<u4").astype(np.int64)


def _text_buffers(whole: Bytes, place: Places, rows: int) -> list[pa.Buffer]:
    lengths = _lengths(whole, place, rows)
    if rows and lengths.max() > place.size:
        raise FormatError("a text is longer than its place")
    offsets = np.zeros(rows + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    area = whole[place.values : place.values + place.size * rows].reshape(rows, place.size)
    data = area[np.arange(place.size)[None, :] < lengths[:, None]]
    return [pa.py_buffer(offsets.tobytes()), pa.py_buffer(data.tobytes())]
