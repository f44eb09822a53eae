"""Brings Arrow data of any origin into our column types, losing nothing without saying so.

Encodings that only differ in memory (large, view and dictionary types, other units) are taken
for what they hold. Whatever narrows is checked value by value: what does not fit is an error
that names the column. Spec: docs/spec/schema.md, section "Conversion".
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import types

from mc2.client.sources.text import Place, from_text, to_text
from mc2.errors import DatasetError, FormatError
from mc2.formats.arrow import arrow_schema, arrow_type, data_type
from mc2.formats.schema import DECIMAL_DIGITS, DataType, Schema

_WIDER: Final = {
    pa.uint8(): pa.int16(),
    pa.uint16(): pa.int32(),
    pa.uint32(): pa.int64(),
    pa.uint64(): pa.decimal128(20, 0),
    pa.float16(): pa.float32(),
    pa.date64(): pa.date32(),
    pa.null(): pa.string(),
    pa.large_string(): pa.string(),
    pa.string_view(): pa.string(),
    pa.large_binary(): pa.binary(),
    pa.binary_view(): pa.binary(),
}
_LISTS: Final = (types.is_list, types.is_large_list, types.is_fixed_size_list)
_HINTS: Final = (
    (types.is_time, "cast it to int64 or string"),
    (types.is_duration, "cast it to int64"),
    (types.is_map, "cast it to a list of structs"),
    (types.is_decimal, f"decimals have up to {DECIMAL_DIGITS} digits and a scale from 0"),
)


def closest_type(arrow: pa.DataType) -> DataType:
    """The column type that holds the values of an Arrow type. Raises: FormatError.

    Seconds to nanoseconds all become microseconds; a value that does not is an error later.
    """
    return data_type(_closest(arrow))


def _closest(arrow: pa.DataType) -> pa.DataType:
    if arrow in _WIDER:
        return _WIDER[arrow]
    if types.is_dictionary(arrow):
        return _closest(arrow.value_type)
    if types.is_fixed_size_binary(arrow):
        return pa.binary()
    if types.is_timestamp(arrow):
        return pa.timestamp("us", None if arrow.tz is None else "UTC")
    if types.is_decimal(arrow) and arrow.precision <= DECIMAL_DIGITS and arrow.scale >= 0:
        return pa.decimal128(arrow.precision, arrow.scale)
    return _closest_nested(arrow)


def _closest_nested(arrow: pa.DataType) -> pa.DataType:
    if any(is_list(arrow) for is_list in _LISTS):
        return pa.list_(_closest(arrow.value_type))
    if types.is_struct(arrow):
        return pa.struct([pa.field(f.name, _closest(f.type)) for f in arrow])
    for matches, hint in _HINTS:
        if matches(arrow):
            raise FormatError(f"Arrow type {arrow} has no column type", hint=hint)
    return arrow


def to_schema(
    table: str, batch: pa.RecordBatch, schema: Schema, *, first_row: int = 1
) -> pa.RecordBatch:
    """A batch in exactly this schema, fully valid. Raises: DatasetError, which quotes no value."""
    target = arrow_schema(schema)
    columns = [
        convert(Place(table, column.name, first_row), array, column.type)
        for array, column in zip(batch.columns, schema.columns, strict=True)
    ]
    for array, column in zip(columns, schema.columns, strict=True):
        if array.null_count and not column.nullable:
            raise DatasetError(
                f"{table}: column {column.name!r} is declared not null and holds NULL",
                hint="declare it without 'not null', or fill the gaps",
            )
    found = pa.record_batch(columns, schema=target)
    try:
        found.validate(full=True)
    except (pa.ArrowException, ValueError):
        raise DatasetError(
            f"{table} is not valid Arrow data, for instance not UTF-8 where it says text",
            hint="have the program that made it write it again",
        ) from None
    return found


def convert(place: Place, array: pa.Array, kind: DataType) -> pa.Array:
    """Values of one column as a column type. Raises: DatasetError, FormatError."""
    target = arrow_type(kind)
    if array.type == target:
        return array
    try:
        if types.is_dictionary(array.type):
            values = array.dictionary.cast(_closest(array.type.value_type))
            array = pa.DictionaryArray.from_arrays(array.indices, values).dictionary_decode()
        plain = array.cast(_closest(array.type))
        if types.is_null(array.type):
            return array.cast(target)
        if plain.type == target:
            return plain
        if plain.type == pa.string():
            return from_text(place, plain, kind)
        if target == pa.string() and plain.type != pa.binary():
            return to_text(place, plain, data_type(plain.type))
        return _narrow(plain, target)
    except (pa.ArrowException, ValueError):  # Arrow's message would quote the value
        raise DatasetError(
            f"{place.table}: column {place.column!r} holds a value that is no {kind}",
            hint=f"declare another type, as in '{place.column}:string', or correct the value",
        ) from None


def _narrow(plain: pa.Array, target: pa.DataType) -> pa.Array:
    """Cast as an owner declared. Raises: ValueError if that loses more than a rounding.

    From double to float or decimal, and from decimal to double, values go to the nearest one:
    that is what such a declaration asks for. Every other cast must lead back to where it began.
    """
    if types.is_decimal(target) and types.is_integer(plain.type):
        # Arrow wants room for every 64-bit integer first.
        return plain.cast(pa.decimal128(19, 0)).cast(target)
    found = plain.cast(target)  # from binary to string: only what is UTF-8
    if types.is_floating(plain.type) and types.is_floating(target):
        _refuse_new_infinity(plain, found)
        return found
    if types.is_floating(plain.type) and types.is_decimal(target):
        return found
    if types.is_decimal(plain.type) and types.is_floating(target):
        return found
    if not found.cast(plain.type).equals(plain):
        raise ValueError
    return found


def _refuse_new_infinity(before: pa.Array, after: pa.Array) -> None:
    if pc.any(pc.and_not(pc.is_inf(after), pc.is_inf(before))).as_py():
        raise ValueError
