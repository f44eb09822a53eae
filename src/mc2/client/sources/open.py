"""Opens whatever an owner brings as a `RowSource`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from mc2.client.sources.columns import parse_columns
from mc2.client.sources.csv_dialect import CsvDialect
from mc2.client.sources.source import RowSource
from mc2.errors import UsageError
from mc2.formats.schema import Column

FILE_FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
}
"""File formats by a file's ending; `.gz` after those of text is read through."""

DATABASES: Final = {
    ".duckdb": "duckdb",
    ".ddb": "duckdb",
    ".sqlite": "sqlite",
    ".sqlite3": "sqlite",
    ".db": "sqlite",
}
"""Database files by their ending: of these a query is read."""

FORMATS: Final = ("csv", "parquet", "arrow", "jsonl", "libsvm", "duckdb", "sqlite")

_POSTGRES: Final = ("postgresql://", "postgres://")


def open_source(
    table: Any,
    *,
    columns: Iterable[str] = (),
    csv: CsvDialect | None = None,
    format: str = "",  # noqa: A002 - the word that people look for
    query: str = "",
) -> RowSource:
    """Open a file by its path, or take a frame, an Arrow table or a stream of Arrow batches.

    `columns` declares types where inference or the file is not to decide: `amount:decimal(12,2)`.
    `format` (one of FORMATS) says what a file is whose ending does not. With a `query`, `table` is
    a DuckDB or SQLite file or the address of a PostgreSQL database, `postgresql://user@host/name`.
    Streams and queries are read at once, into an encrypted spool. Raises: UsageError, DatasetError.
    """
    declared = parse_columns(columns)
    if not isinstance(table, (str, Path)):
        if csv is not None or format or query:
            raise UsageError("a CSV dialect, file format or query is not for frames")
        from mc2.client.sources.frames import from_frame

        return from_frame(table, declared)
    if str(table).startswith(_POSTGRES):
        return _postgres(str(table), _wanted(query), declared)
    path = Path(table)
    kind = format or _format_of(path)
    if kind in {"duckdb", "sqlite"}:
        from mc2.client.sources.databases import from_duckdb, from_sqlite

        read = from_duckdb if kind == "duckdb" else from_sqlite
        return read(path, _wanted(query), declared)
    if query:
        raise UsageError(f"{path.name} is no database", hint="leave out the query")
    if csv is not None and kind != "csv":
        raise UsageError(f"{path.name} is no CSV file", hint="leave out the CSV dialect")
    return _file(path, kind, declared, csv)


def _file(
    path: Path, kind: str, declared: Mapping[str, Column], csv: CsvDialect | None
) -> RowSource:
    if kind == "csv":
        from mc2.client.sources.csv_file import from_csv

        dialect = csv or CsvDialect(delimiter="\t" if ".tsv" in path.suffixes else ",")
        return from_csv(path, declared, dialect)
    readers = _readers()
    if kind not in readers:
        raise UsageError(f"{kind!r} is no file format", hint=f"formats are {', '.join(FORMATS)}")
    return readers[kind](path, declared)


def _readers() -> dict[str, Callable[[Path, Mapping[str, Column]], RowSource]]:
    from mc2.client.sources.files import from_arrow_file, from_parquet
    from mc2.client.sources.json_lines import from_json_lines
    from mc2.client.sources.libsvm import from_libsvm

    return {
        "parquet": from_parquet,
        "arrow": from_arrow_file,
        "jsonl": from_json_lines,
        "libsvm": from_libsvm,
    }


def _postgres(url: str, query: str, declared: Mapping[str, Column]) -> RowSource:
    from mc2.client.sources.postgres import from_postgres

    return from_postgres(url, query, declared)


def _wanted(query: str) -> str:
    if not query.strip():
        raise UsageError(
            "a database holds many tables: which rows?",
            hint="mc2 upload --from FILE --query 'SELECT … FROM …' --as NAME",
        )
    return query


def _format_of(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    ending = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()
    known = {**FILE_FORMATS, ".libsvm": "libsvm", ".svm": "libsvm", **DATABASES}
    if ending not in known:
        raise UsageError(
            f"the ending of {path.name} does not say what it is",
            hint=f"name the format, or use one of {', '.join(known)}",
        )
    return known[ending]
