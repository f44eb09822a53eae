"""Opens whatever an owner brings as a `RowSource`."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final

from mc2.client.sources.columns import parse_columns
from mc2.client.sources.csv_file import CsvDialect, CsvSource
from mc2.client.sources.files import from_arrow_file, from_parquet
from mc2.client.sources.frames import from_frame
from mc2.client.sources.source import RowSource
from mc2.errors import UsageError

FILE_FORMATS: Final = {
    ".csv": "csv",
    ".tsv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".arrow": "arrow",
    ".arrows": "arrow",
    ".feather": "arrow",
    ".ipc": "arrow",
}
"""File formats by a file's ending; `.gz` after `.csv` or `.tsv` is read through."""


def open_source(
    table: Any,
    *,
    columns: Iterable[str] = (),
    csv: CsvDialect | None = None,
    format: str = "",  # noqa: A002 - the word that people look for
) -> RowSource:
    """Open a file by its path, or take a frame, an Arrow table or a stream of Arrow batches.

    `columns` declares types where inference or the file is not to decide: `amount:decimal(12,2)`.
    `format` (csv, parquet, arrow) says what a file is whose ending does not.
    Streams are read at once, into an encrypted spool. Raises: UsageError, DatasetError.
    """
    declared = parse_columns(columns)
    if not isinstance(table, (str, Path)):
        if csv is not None or format:
            raise UsageError("a CSV dialect or file format is for files, not for frames")
        return from_frame(table, declared)
    path = Path(table)
    kind = format or _format_of(path)
    if kind == "csv":
        dialect = csv or CsvDialect(delimiter="\t" if ".tsv" in path.suffixes else ",")
        return CsvSource(path, declared, dialect)
    if csv is not None:
        raise UsageError(f"{path.name} is no CSV file", hint="leave out the CSV dialect")
    if kind == "parquet":
        return from_parquet(path, declared)
    if kind == "arrow":
        return from_arrow_file(path, declared)
    raise UsageError(f"{kind!r} is no file format", hint="formats are csv, parquet and arrow")


def _format_of(path: Path) -> str:
    suffixes = [s.lower() for s in path.suffixes]
    ending = suffixes[-2] if suffixes[-1:] == [".gz"] and len(suffixes) > 1 else path.suffix.lower()
    if ending not in FILE_FORMATS:
        raise UsageError(
            f"the ending of {path.name} does not say what it is",
            hint=f"name the format, or use one of {', '.join(FILE_FORMATS)}",
        )
    return FILE_FORMATS[ending]
