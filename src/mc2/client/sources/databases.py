"""Queries over DuckDB and SQLite files: opened for reading only, and read once.

What a query gives goes into an encrypted spool; nothing is written in plain text, so neither engine
may spill to disk here. Spec: docs/spec/schema.md, section "Databases".
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from mc2.client.sources.source import FileStamp
from mc2.client.sources.spool import from_stream
from mc2.client.sources.typed import TypedSource
from mc2.errors import DatasetError, UsageError
from mc2.formats.schema import Column

_STEP_ROWS: Final = 1 << 16
_ONE_STATEMENT: Final = "the query is one SELECT: mc2 upload --from FILE --query 'SELECT …'"
_DUCKDB_SETTINGS: Final = (
    "temp_directory = ''",  # or it would spill rows to disk
    "autoinstall_known_extensions = false",
    "autoload_known_extensions = false",
    "enable_external_access = false",  # the file alone, not what its views point to
    "lock_configuration = true",
)
_ARROW_OF: Final = {int: pa.int64(), float: pa.float64(), str: pa.string(), bytes: pa.binary()}


def from_duckdb(path: Path, query: str, declared: Mapping[str, Column]) -> TypedSource:
    """What a query over a DuckDB file gives. Raises: UsageError, DatasetError."""
    import duckdb

    FileStamp.of(path)  # says so if there is no such file; DuckDB would make one
    try:
        with duckdb.connect(str(path), read_only=True) as connection:
            for setting in _DUCKDB_SETTINGS:
                connection.execute(f"SET {setting}")
            statements = connection.extract_statements(query)
            if len(statements) != 1 or statements[0].type != duckdb.StatementType.SELECT:
                raise UsageError(f"{path.name}: that is not one SELECT", hint=_ONE_STATEMENT)
            reader = connection.sql(query).to_arrow_reader(_STEP_ROWS)
            return from_stream(path.name, reader.schema, reader, declared)
    except (duckdb.Error, pa.ArrowException) as error:
        raise _refused(path, error) from None


def from_sqlite(path: Path, query: str, declared: Mapping[str, Column]) -> TypedSource:
    """What a query over an SQLite file gives. Raises: UsageError, DatasetError.

    SQLite keeps a type for each value. A column gets the one type that all its values have;
    whole numbers beside others become doubles if none is rounded by that.
    """
    FileStamp.of(path)
    try:
        uri = f"{path.absolute().as_uri()}?mode=ro"
        with closing(sqlite3.connect(uri, uri=True, isolation_level=None)) as connection:
            connection.execute("PRAGMA query_only = 1")
            connection.execute("PRAGMA temp_store = MEMORY")  # sorting spills to disk otherwise
            connection.execute("BEGIN")  # both readings see one state of the file
            schema = _sqlite_schema(path.name, connection.execute(query))
            rows = _sqlite_rows(path.name, connection.execute(query), schema)
            return from_stream(path.name, schema, rows, declared)
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise _refused(path, error) from None


def _sqlite_schema(name: str, cursor: sqlite3.Cursor) -> pa.Schema:
    if cursor.description is None:
        raise UsageError(f"{name}: the query gives no table", hint=_ONE_STATEMENT)
    names = [column[0] for column in cursor.description]
    kinds: list[set[type]] = [set() for _ in names]
    while rows := cursor.fetchmany(_STEP_ROWS):
        for kind, values in zip(kinds, zip(*rows, strict=True), strict=True):
            kind.update(map(type, values))
    fields = [pa.field(n, _sqlite_type(name, n, k)) for n, k in zip(names, kinds, strict=True)]
    return pa.schema(fields)


def _sqlite_type(table: str, column: str, kinds: set[type]) -> pa.DataType:
    kinds = kinds - {type(None)}
    if not kinds:
        return pa.string()
    if kinds == {int, float}:
        return pa.float64()
    if len(kinds) > 1:
        raise DatasetError(
            f"{table}: column {column!r} holds values of several types",
            hint="give it one in the query, for instance CAST(column AS TEXT)",
        )
    return _ARROW_OF[kinds.pop()]


def _sqlite_rows(name: str, cursor: sqlite3.Cursor, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    while rows := cursor.fetchmany(_STEP_ROWS):
        columns = [
            _sqlite_column(name, field, values)
            for field, values in zip(schema, zip(*rows, strict=True), strict=True)
        ]
        yield pa.record_batch(columns, schema=schema)


def _sqlite_column(name: str, field: pa.Field, values: tuple[Any, ...]) -> pa.Array:
    try:
        return pa.array(values, field.type)  # refuses whole numbers that a double would round
    except (pa.ArrowException, ValueError, TypeError, OverflowError):
        raise DatasetError(
            f"{name}: column {field.name!r} holds whole numbers that a double would round, or "
            "its values change from one reading to the next",
            hint="cast it in the query, for instance CAST(column AS TEXT)",
        ) from None


def _refused(path: Path, error: Exception) -> DatasetError:
    """A database's complaint without its text, which may quote values."""
    return DatasetError(
        f"{path.name} does not answer the query ({type(error).__name__})",
        hint="try the query in the database's own shell; the file must not be open for writing",
    )
