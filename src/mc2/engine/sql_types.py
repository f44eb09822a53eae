"""Types and literals as DuckDB writes them.

No text of a plan enters SQL but literals, and they only inside quotes or as digits; columns are
named by their place (`c0`, `c1`, …), so a column's name cannot be SQL either. `timestamp_utc` is a
plain TIMESTAMP inside the engine, its values being UTC: no time zone rules ever apply.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa

from mc2.formats.arrow import arrow_type
from mc2.formats.schema import DataType
from mc2.plan.expressions import Literal
from mc2.plan.literals import literal_value

_NAMES: Final = {
    "boolean": "BOOLEAN",
    "int8": "TINYINT",
    "int16": "SMALLINT",
    "int32": "INTEGER",
    "int64": "BIGINT",
    "float": "FLOAT",
    "double": "DOUBLE",
    "string": "VARCHAR",
    "binary": "BLOB",
    "date": "DATE",
    "timestamp": "TIMESTAMP",
    "timestamp_utc": "TIMESTAMP",
}


def sql_type(kind: DataType) -> str:
    """The DuckDB type that holds a column of this type."""
    if kind.name == "decimal":
        return f"DECIMAL({kind.precision},{kind.scale})"
    if kind.element is not None:
        return sql_type(kind.element) + "[]"
    if kind.name == "struct":  # field names are identifiers: formats.schema allows no others
        return "STRUCT(" + ", ".join(f'"{n}" {sql_type(t)}' for n, t in kind.fields) + ")"
    return _NAMES[kind.name]


def engine_type(kind: DataType) -> DataType:
    """The type of a column inside the engine: instants are timestamps that are UTC."""
    if kind.name == "timestamp_utc":
        return DataType("timestamp")
    if kind.element is not None:
        return DataType("list", element=engine_type(kind.element))
    if kind.name == "struct":
        return DataType("struct", fields=tuple((n, engine_type(t)) for n, t in kind.fields))
    return kind


def engine_arrow_type(kind: DataType) -> pa.DataType:
    """The Arrow type of a column inside the engine."""
    return arrow_type(engine_type(kind))


def sql_string(text: str) -> str:
    """A VARCHAR literal. DuckDB has no escapes between quotes; a zero byte cannot stand there."""
    if "\x00" in text:
        return f"decode(unhex('{text.encode().hex()}'))"
    return "'" + text.replace("'", "''") + "'"


def sql_literal(literal: Literal) -> str:
    """A literal of the plan as a constant of exactly its type and value."""
    kind = literal.type
    if literal.text is None:
        return f"CAST(NULL AS {sql_type(kind)})"
    value = literal_value(literal.text, kind)  # raises unless it is the one spelling of its type
    match value:
        case bytes():
            return f"unhex('{value.hex()}')"
        case str():
            return sql_string(value)
        case bool():
            return "TRUE" if value else "FALSE"
        case _:
            return f"CAST('{literal.text.removesuffix('Z')}' AS {sql_type(kind)})"
