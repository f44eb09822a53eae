"""CSV files: every value is read as text, its type found from all of them, then read exactly.

Dialect: RFC 4180 with a header. An empty field is NULL, an empty field in quotes is the empty
string. Spec: docs/spec/schema.md, section "CSV".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv

from mc2.client.sources.csv_dialect import CsvDialect
from mc2.client.sources.csv_end import EndMark, Utf8File
from mc2.client.sources.source import FileStamp, unchanged
from mc2.client.sources.text_table import TextTable
from mc2.errors import DatasetError
from mc2.formats.schema import Column

_BLOCK_BYTES: Final = 2 << 20
_FIELD_COUNT: Final = re.compile(r"(?:Row #(\d+): )?Expected (\d+) columns, got (\d+)")
_COMPLAINTS: Final = (
    ("UTF8", "is not UTF-8 text", "name its encoding, for instance latin-1"),
    (
        "straddling",
        f"has a row longer than {_BLOCK_BYTES} bytes",
        "look for a quote that is not closed; longer rows come as Parquet or Arrow",
    ),
    ("Empty CSV", "is empty", "a table has at least a header, in which no quote stays open"),
)


class CsvFile:
    """A CSV file as columns of text."""

    def __init__(self, path: Path, dialect: CsvDialect) -> None:
        self._path = path
        self._dialect = dialect
        self._stamp = FileStamp.of(path)
        with self._reading(), self._open(self._bytes(), ()) as reader:
            self.names: tuple[str, ...] = tuple(reader.schema.names)

    def texts(self) -> Iterator[pa.RecordBatch]:
        """All rows from the start. Raises: DatasetError."""
        mark = EndMark.choose(self._path.name, len(self.names), self._dialect)
        seen = 0
        with (
            self._reading(lambda: seen),
            self._open(self._bytes(mark.row), self.names) as reader,
        ):
            for batch in mark.without(reader):
                seen += batch.num_rows
                yield batch

    def _bytes(self, end: bytes = b"") -> pa.PythonFile:
        raw = pa.input_stream(str(self._path), compression="detect")
        return pa.PythonFile(Utf8File(raw, self._dialect.encoding, end), mode="r")

    @contextmanager
    def _reading(self, seen: Callable[[], int] = int) -> Iterator[None]:
        with unchanged(self._path, self._stamp):
            try:
                yield
            except pa.ArrowInvalid as error:
                raise self._explained(str(error), seen()) from None

    def _explained(self, complaint: str, seen: int) -> DatasetError:
        """Arrow's complaint without the data that it quotes."""
        name, after = self._path.name, f", after row {seen}" if seen else ""
        if fields := _FIELD_COUNT.search(complaint):
            # Arrow counts the header as a row.
            number = int(fields[1]) - (not self._dialect.names) if fields[1] else 0
            row = f"row {number}" if number else "a row"
            return DatasetError(
                f"{name}: {row} has {fields[3]} fields and not {fields[2]}",
                hint="look for a delimiter or line break outside of quotes, or a quote that is "
                "not closed",
            )
        for mark, message, hint in _COMPLAINTS:
            if mark in complaint:
                return DatasetError(f"{name} {message}{after}", hint=hint)
        return DatasetError(f"{name} is not a CSV file of this dialect{after}")

    def _open(self, source: pa.PythonFile, names: tuple[str, ...]) -> csv.CSVStreamingReader:
        """Open the file as columns of text; before their names are known, to find those."""
        dialect = self._dialect
        return csv.open_csv(
            source,
            read_options=csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                column_names=list(dialect.names) or None,
                use_threads=False,
            ),
            parse_options=csv.ParseOptions(
                delimiter=dialect.delimiter,
                quote_char=dialect.quote,
                newlines_in_values=True,
                # In a table of one column an empty line is a NULL; elsewhere it is nothing.
                ignore_empty_lines=len(names) != 1,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                null_values=list(dialect.nulls),
                strings_can_be_null=True,
                quoted_strings_can_be_null=dialect.quoted_nulls,
            ),
        )


def from_csv(path: Path, declared: Mapping[str, Column], dialect: CsvDialect) -> TextTable:
    """A CSV file. Raises: UsageError, DatasetError."""
    file = CsvFile(path, dialect)
    exact = dialect.decimals == "exact"
    return TextTable(path.name, file.names, file.texts, declared, exact_decimals=exact)
