"""Whole numbers in as few bytes as a chunk's values take, where rows are compressed.

Dates count as whole numbers (days), and so do decimals of at most 18 digits (unscaled). A codec
would find the same bytes to save, at ten times the cost of reading. Texts may travel as codes
(`mc2.formats.codes`). Rows that are not compressed
stay as they are: their size must not tell how large the values are.
Spec: docs/spec/dataset.md, section "Rows".
"""

from __future__ import annotations

from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.errors import FormatError
from mc2.formats.codes import check_codes, coded, is_coded, may_be_coded, spelled_out

SHORT_DIGITS: Final = 18
"""Decimals of so many digits fit into 64 bits."""

_INTEGERS: Final = (pa.int8(), pa.int16(), pa.int32(), pa.int64())


def narrowed(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The batch as it travels: whole numbers in the least width that holds them, texts coded."""
    arrays = [coded(_narrow(column)) for column in batch.columns]
    fields = [f.with_type(a.type) for f, a in zip(batch.schema, arrays, strict=True)]
    return pa.record_batch(arrays, schema=pa.schema(fields))


def travelling_schema(found: pa.Schema, expected: pa.Schema) -> pa.Schema:
    """How columns of an expected schema travel, given what a stream says of widths and codes.

    What the column's type has not is left out: the streams then differ. Raises: FormatError if
    there are more or fewer columns.
    """
    if len(found) != len(expected):
        raise FormatError("the rows of a chunk have more or fewer columns than their table")
    fields = []
    for said, field in zip(found, expected, strict=True):
        widest = _whole_type(field.type)
        if widest is not None:
            fits = said.type in _INTEGERS and said.type.bit_width <= widest.bit_width
            field = field.with_type(said.type if fits else widest)  # noqa: PLW2901  # one step
        elif may_be_coded(field.type) and is_coded(said.type):
            field = field.with_type(said.type)  # noqa: PLW2901  # one step
        fields.append(field)
    return pa.schema(fields)


def widened(array: pa.Array, kind: pa.DataType, *, short: bool) -> pa.Array:
    """A validated column that travelled, in its own type.

    With `short`, decimals as 64 bits, and texts that are coded stay so. Raises: FormatError if a
    decimal has too many digits, or codes are not what they should be.
    """
    if is_coded(array.type):
        check_codes(array)
        return array if short else spelled_out(array)
    whole = _whole_type(kind)
    if whole is None:
        return array
    if pa.types.is_decimal(kind):
        _check_digits(array, kind.precision)
    wide = array.cast(whole)
    if pa.types.is_date32(kind):
        return _seen_as(wide, kind)
    if pa.types.is_decimal(kind):
        narrow = _seen_as(wide, short_type(kind))
        return narrow if short else narrow.cast(kind)
    return wide


def short_type(kind: pa.DataType) -> pa.DataType:
    """The type with decimals of few digits in 64 bits; other types as they are."""
    if pa.types.is_decimal128(kind) and kind.precision <= SHORT_DIGITS:
        return pa.decimal64(kind.precision, kind.scale)
    return kind


def is_whole(kind: pa.DataType) -> bool:
    """Whether columns of a type travel as whole numbers of some width."""
    return _whole_type(kind) is not None


def _whole_type(kind: pa.DataType) -> pa.DataType | None:
    """The integers that stand for a type, or None."""
    if kind in _INTEGERS:
        return kind
    if pa.types.is_date32(kind):
        return pa.int32()
    return pa.int64() if short_type(kind) is not kind else None


def _narrow(array: pa.Array) -> pa.Array:
    whole = _whole_type(array.type)
    if whole is None:
        return array
    numbers = _seen_as(array.cast(short_type(array.type)), whole)
    ends = pc.min_max(numbers)
    least, most = ends["min"].as_py() or 0, ends["max"].as_py() or 0
    for kind in _INTEGERS:
        bound = 1 << (kind.bit_width - 1)
        if -bound <= least and most < bound:
            # What stands where a value is NULL is nobody's, and may be cut off.
            return numbers.cast(kind, safe=False)
    raise AssertionError("64 bits hold any of these")


def _check_digits(array: pa.Array, precision: int) -> None:
    most = 10**precision - 1
    if 1 << (array.type.bit_width - 1) <= most:
        return
    ends = pc.min_max(array)
    if ends["min"].as_py() is not None and not (
        -most <= ends["min"].as_py() and ends["max"].as_py() <= most
    ):
        raise FormatError("a decimal has more digits than its type")


def _seen_as(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """The same bytes as values of another type of the same width."""
    buffers: list[Any] = array.buffers()
    return pa.Array.from_buffers(kind, len(array), buffers, array.null_count, array.offset)
