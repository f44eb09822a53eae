"""Our schemas as Arrow has them, and back. Spec: docs/spec/schema.md, section "Arrow".

The mapping is one to one: each of our types is exactly one Arrow type, and any other Arrow type
is refused here, never converted. `mc2.client.sources` converts what owners bring.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from mc2.errors import FormatError
from mc2.formats.schema import Column, DataType, Schema, decimal

_SIMPLE: Final[dict[str, pa.DataType]] = {
    "boolean": pa.bool_(),
    "int8": pa.int8(),
    "int16": pa.int16(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "float": pa.float32(),
    "double": pa.float64(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp_utc": pa.timestamp("us", "UTC"),
}
_SIMPLE_NAMES: Final = {arrow: name for name, arrow in _SIMPLE.items()}


def arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type of a column type. What is inside a list or struct may be NULL."""
    if kind.name == "decimal":
        return pa.decimal128(kind.precision, kind.scale)
    if kind.element is not None:
        return pa.list_(arrow_type(kind.element))
    if kind.name == "struct":
        return pa.struct([pa.field(name, arrow_type(inner)) for name, inner in kind.fields])
    return _SIMPLE[kind.name]


def data_type(arrow: pa.DataType) -> DataType:
    """The column type of an Arrow type. Raises: FormatError if it is none of ours."""
    if arrow in _SIMPLE_NAMES:
        return DataType(_SIMPLE_NAMES[arrow])
    if pa.types.is_decimal128(arrow):
        return decimal(arrow.precision, arrow.scale)
    if pa.types.is_list(arrow):
        found = DataType("list", element=data_type(arrow.value_type))
    elif pa.types.is_struct(arrow):
        found = DataType("struct", fields=tuple((f.name, data_type(f.type)) for f in arrow))
    else:
        raise FormatError(
            f"Arrow type {arrow} is not a column type of mc2",
            hint="cast it to one of the types in docs/spec/schema.md",
        )
    if arrow_type(found) != arrow:  # e.g. NOT NULL inside a list, which our types do not say
        raise FormatError(f"Arrow type {arrow} says more than {found} can")
    return found


def arrow_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema of a table: same names and order, no metadata."""
    return pa.schema([pa.field(c.name, arrow_type(c.type), c.nullable) for c in schema.columns])


def schema_of(arrow: pa.Schema) -> Schema:
    """The schema of an Arrow table; metadata is left out. Raises: FormatError."""
    return Schema(tuple(_column_of(field) for field in arrow))


def _column_of(field: pa.Field) -> Column:
    try:
        return Column(field.name, data_type(field.type), field.nullable)
    except FormatError as error:
        raise FormatError(f"column {field.name!r}: {error}", hint=error.hint) from None
