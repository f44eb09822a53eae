"""Rows as JSON lines. Spec: docs/spec/schema.md, section "JSON lines"."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from mc2.client.sources.text import Place, to_text
from mc2.errors import DatasetError
from mc2.formats.schema import DataType, Schema

_NULL: Final = "null"
_RAW: Final = frozenset({"boolean", "int8", "int16", "int32", "int64", "decimal"})
"""Whose texts are JSON as they stand: exact, with every digit."""


def json_lines(table: str, schema: Schema, batch: pa.RecordBatch) -> str:
    """The rows of a batch, one object a line. Raises: DatasetError for what JSON does not hold."""
    names = [json.dumps(name, ensure_ascii=False) for name in schema.names]
    columns = [
        _texts(Place(table, column.name, 1), values, column.type)
        for column, values in zip(schema.columns, batch.columns, strict=True)
    ]
    return "".join(
        "{" + ",".join(f"{n}:{v}" for n, v in zip(names, row, strict=True)) + "}\n"
        for row in zip(*columns, strict=True)
    )


def _texts(place: Place, values: pa.Array, kind: DataType) -> Iterator[str]:
    """The JSON of each value of a column."""
    if kind.name == "list":
        return _lists(place, values, kind)
    if kind.name == "struct":
        return _structs(place, values, kind)
    if kind.name in {"float", "double"}:
        if not pc.all(pc.is_finite(values)).as_py():
            raise DatasetError(
                f"{place.table}: column {place.column!r} has a NaN or infinity",
                hint="JSON does not hold it: write CSV, Parquet or Arrow instead",
            )
        return _plain(values.to_pylist(), repr)
    if kind.name in _RAW:
        return _plain(to_text(place, values, kind).to_pylist(), str)
    return _plain(to_text(place, values, kind).to_pylist(), _quoted)


def _plain(values: list[Any], text: Callable[[Any], str]) -> Iterator[str]:
    return (_NULL if value is None else text(value) for value in values)


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _lists(place: Place, values: pa.ListArray, kind: DataType) -> Iterator[str]:
    if kind.element is None:
        raise RuntimeError("a list has a kind of elements")
    flat = list(_texts(place, values.flatten(), kind.element))
    start = 0
    for size in pc.list_value_length(values).to_pylist():
        if size is None:
            yield _NULL
        else:
            yield f"[{','.join(flat[start : start + size])}]"
            start += size


def _structs(place: Place, values: pa.StructArray, kind: DataType) -> Iterator[str]:
    fields = [
        (_quoted(name), _texts(place, inner, element))
        for (name, element), inner in zip(kind.fields, values.flatten(), strict=True)
    ]
    for present in values.is_valid().to_pylist():
        texts = [f"{name}:{next(found)}" for name, found in fields]
        yield "{" + ",".join(texts) + "}" if present else _NULL
