"""JSON lines: one object a line. Spec: docs/spec/schema.md, section "JSON lines".

The file is read in blocks of whole lines. Types are found from all of them: a name that is missing
in a line is NULL there, whole numbers and others become doubles, text stays text.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.compute as pc
from pyarrow import json, types

from mc2.client.sources.files import in_steps
from mc2.client.sources.source import FileStamp, unchanged
from mc2.client.sources.typed import TypedSource
from mc2.errors import DatasetError
from mc2.formats.arrow import arrow_type
from mc2.formats.schema import Column

_BLOCK_BYTES: Final = 4 << 20
_LINE_BYTES: Final = 32 << 20
_BOM: Final = b"\xef\xbb\xbf"
_EXACT_DOUBLE: Final = float(1 << 53)  # from here on not every whole number is a double
_NUMBERS: Final = frozenset({"decimal", "float", "double"})
_TEXTS: Final = frozenset({"string", "binary", "date", "timestamp", "timestamp_utc"})


def from_json_lines(path: Path, declared: Mapping[str, Column]) -> TypedSource:
    """A file of JSON lines, perhaps compressed. Raises: UsageError, DatasetError."""
    stamp = FileStamp.of(path)
    with unchanged(path, stamp):
        schema = _survey(path, declared)
    doubles = [f.name for f in schema if f.type == pa.float64() and f.name not in declared]

    def read(_: Sequence[str]) -> Iterator[pa.RecordBatch]:
        with unchanged(path, stamp):
            for first, block in _blocks(path):
                table = _parse(path.name, first, block, schema)
                for name in doubles:
                    _refuse_rounded(path.name, name, table.column(name))
                yield from in_steps(iter(table.to_batches()))

    return TypedSource(path.name, schema, read, declared)


def _survey(path: Path, declared: Mapping[str, Column]) -> pa.Schema:
    """The schema that holds every line. Raises: DatasetError."""
    known = pa.schema([f for column in declared.values() for f in _as_declared(column)])
    found, empty = known, True
    for first, block in _blocks(path):
        table = _parse(path.name, first, block, known, grow=True)
        plain = pa.schema([pa.field(f.name, _plain(f.type)) for f in table.schema])
        try:
            found = pa.unify_schemas([found, plain], promote_options="permissive")
        except pa.ArrowException:
            raise _two_kinds(path.name, f"up to line {first}") from None
        empty = empty and not table.num_rows
    if empty:
        raise DatasetError(f"{path.name} is empty", hint="a table has at least one line")
    return found


def _as_declared(column: Column) -> Iterator[pa.Field]:
    """How Arrow is to read a declared column: numbers at once as what they are to be."""
    if column.type.name in _NUMBERS:
        yield pa.field(column.name, arrow_type(column.type))
    elif column.type.name in _TEXTS:
        yield pa.field(column.name, pa.string())


def _plain(kind: pa.DataType) -> pa.DataType:
    """Text that Arrow takes for a moment is text: its zone or its digits would be lost."""
    if types.is_timestamp(kind) or types.is_date(kind) or types.is_time(kind):
        return pa.string()
    if types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    if types.is_struct(kind):
        return pa.struct([pa.field(f.name, _plain(f.type)) for f in kind])
    return kind


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    """Whole lines, about 4 MiB of them, and the number of the first of them."""
    rest, line = b"", 1
    with pa.input_stream(str(path), compression="detect") as file:
        while found := file.read(_BLOCK_BYTES):
            rest = (rest + found).removeprefix(_BOM) if line == 1 else rest + found
            end = rest.rfind(b"\n") + 1
            if end:
                yield line, rest[:end]
                line += rest.count(b"\n", 0, end)
                rest = rest[end:]
            elif len(rest) > _LINE_BYTES:
                raise DatasetError(
                    f"{path.name}: line {line} is longer than {_LINE_BYTES} bytes",
                    hint="write one object a line, or bring the table as Parquet",
                )
    if rest:
        yield line, rest


def _parse(
    name: str, first: int, block: bytes, schema: pa.Schema, *, grow: bool = False
) -> pa.Table:
    """Read lines in a schema, of which they may grow. Raises: DatasetError with the line."""
    try:
        return _parse_all(block, schema, grow=grow)
    except (pa.ArrowException, ValueError):
        lines = block.splitlines(keepends=True)
    # Halve until one line is left: Arrow does not say which one it was.
    start, length = 0, len(lines)
    while length > 1:
        half = length // 2
        try:
            _parse_all(b"".join(lines[start : start + half]), schema, grow=grow)
        except (pa.ArrowException, ValueError):
            length = half
        else:
            start, length = start + half, length - half
    try:
        _parse_all(lines[start], schema, grow=grow)
    except (pa.ArrowException, ValueError):
        raise DatasetError(
            f"{name}: line {first + start} is no JSON object, or not one of the columns declared "
            "and found before",
            hint="each line holds one object, with each name once and values of one kind in all "
            "lines; declare the columns that differ",
        ) from None
    raise _two_kinds(name, f"up to line {first + start}")


def _parse_all(block: bytes, schema: pa.Schema, *, grow: bool) -> pa.Table:
    lines = sum(1 for line in block.splitlines() if line.strip())
    if not lines:
        return schema.empty_table()
    table = json.read_json(
        io.BytesIO(block),
        read_options=json.ReadOptions(use_threads=False, block_size=max(1 << 20, len(block) + 1)),
        parse_options=json.ParseOptions(
            explicit_schema=schema if len(schema) else None,
            unexpected_field_behavior="infer" if grow else "error",
        ),
    )
    if table.num_rows != lines:
        raise ValueError("not one object a line")
    return table


def _refuse_rounded(name: str, column: str, values: pa.ChunkedArray) -> None:
    """A whole number that a double may have rounded was not written for a double."""
    size = pc.abs(values)
    whole = pc.and_(pc.equal(pc.floor(size), size), pc.greater_equal(size, _EXACT_DOUBLE))
    if pc.any(whole).as_py():
        raise DatasetError(
            f"{name}: {column!r} holds whole numbers beside others that doubles do not hold",
            hint=f"declare it: '{column}:decimal(38,0)', or '{column}:double' to have them rounded",
        )


def _two_kinds(name: str, where: str) -> DatasetError:
    return DatasetError(
        f"{name} has, {where}, a name that holds values of two kinds",
        hint="write one kind of value under each name, or declare it",
    )
