"""CSV files: every value is read as text, its type found from all of them, then read exactly.

Dialect: RFC 4180 with a header. An empty field is NULL, an empty field in quotes is the empty
string. Spec: docs/spec/schema.md, section "CSV".
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow as pa
from pyarrow import csv

from mc2.client.sources.columns import declare, named_columns
from mc2.client.sources.infer import Inference
from mc2.client.sources.normal import to_schema
from mc2.client.sources.source import (
    FileStamp,
    RowsRead,
    Survey,
    exactly,
    fixed_row_bytes,
    unchanged,
)
from mc2.errors import DatasetError, UsageError
from mc2.formats.schema import Column, DataType, Schema

_BLOCK_BYTES: Final = 2 << 20
_STRING: Final = DataType("string")
_FIELD_COUNT: Final = re.compile(r"Expected (\d+) columns, got (\d+)")
_COMPLAINTS: Final = (
    ("UTF8", "is not UTF-8 text", "name its encoding, for instance latin-1"),
    ("straddling", f"has a row longer than {_BLOCK_BYTES} bytes", "bring it as Parquet or Arrow"),
    ("Empty CSV", "is empty", "a table has at least a header"),
)
DECIMALS: Final = ("exact", "double")


@dataclass(frozen=True, slots=True, kw_only=True)
class CsvDialect:
    """How a CSV file is written.

    `nulls`: fields that mean NULL when they stand without quotes; with `quoted_nulls`, in quotes
    too. `names`: the columns of a file without a header. `decimals`: whether numbers with a
    point become exact decimals or doubles, where their column is not declared.
    """

    delimiter: str = ","
    quote: str = '"'
    encoding: str = "utf-8"
    names: tuple[str, ...] = ()
    nulls: tuple[str, ...] = ("",)
    quoted_nulls: bool = False
    decimals: str = "exact"

    def __post_init__(self) -> None:
        if len(self.delimiter) != 1 or len(self.quote) != 1 or self.delimiter == self.quote:
            raise UsageError("a CSV file has one character that separates and another that quotes")
        if self.decimals not in DECIMALS:
            raise UsageError(f"decimals are one of {', '.join(DECIMALS)}")
        try:
            codecs.lookup(self.encoding)
        except LookupError:
            raise UsageError(f"there is no encoding {self.encoding!r}") from None


class CsvSource:
    """A CSV file."""

    def __init__(self, path: Path, declared: Mapping[str, Column], dialect: CsvDialect) -> None:
        self._path = path
        self._declared = declared
        self._dialect = dialect
        self._stamp = FileStamp.of(path)
        with self._reading(), self._open(()) as reader:
            names: tuple[str, ...] = tuple(reader.schema.names)
        self._text = named_columns(path.name, [Column(name, _STRING) for name in names])
        declare(self._text, declared)  # a wrong name shows before the file is read

    @property
    def name(self) -> str:
        """The file's name."""
        return self._path.name

    def survey(self, progress: RowsRead) -> Survey:
        """Find the types of columns that are not declared, and measure. Raises: DatasetError."""
        exact = self._dialect.decimals == "exact"
        guesses = {name: Inference(exact_decimals=exact) for name in self._text.names}
        widest = dict.fromkeys(self._text.names, 0.0)
        rows = 0
        for batch in self._batches():
            for name, texts in zip(self._text.names, batch.columns, strict=True):
                if name not in self._declared:
                    guesses[name].feed(texts)
                widest[name] = max(widest[name], texts.nbytes / max(1, len(texts)))
            rows += batch.num_rows
            progress(rows)
        inferred = Schema(tuple(Column(name, guesses[name].result()) for name in guesses))
        schema = declare(inferred, self._declared)
        loose = sum(widest[column.name] for column in schema.columns if column.type.has_width)
        return Survey(schema, rows, loose + fixed_row_bytes(schema))

    def batches(self, survey: Survey) -> Iterator[pa.RecordBatch]:
        """Read the file again, in the schema of the survey. Raises: DatasetError."""
        return exactly(self.name, survey.rows, self._converted(survey.schema))

    def _converted(self, schema: Schema) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in self._batches():
            yield to_schema(self.name, batch, schema, first_row=rows + 1)
            rows += batch.num_rows

    def _batches(self) -> Iterator[pa.RecordBatch]:
        with self._reading(), self._open(self._text.names) as reader:
            yield from reader

    @contextmanager
    def _reading(self) -> Iterator[None]:
        with unchanged(self._path, self._stamp):
            try:
                yield
            except pa.ArrowInvalid as error:
                raise _explained(self.name, str(error)) from None

    def _open(self, names: tuple[str, ...]) -> csv.CSVStreamingReader:
        """Open the file as columns of text; before their names are known, to find those."""
        dialect = self._dialect
        return csv.open_csv(
            pa.input_stream(str(self._path), compression="detect"),
            read_options=csv.ReadOptions(
                block_size=_BLOCK_BYTES,
                column_names=list(dialect.names) or None,
                encoding=dialect.encoding,
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


def _explained(name: str, complaint: str) -> DatasetError:
    """Arrow's complaint without the data that it quotes."""
    if fields := _FIELD_COUNT.search(complaint):
        return DatasetError(
            f"{name}: a row has {fields[2]} fields and not {fields[1]}",
            hint="look for a delimiter or line break outside of quotes",
        )
    for mark, message, hint in _COMPLAINTS:
        if mark in complaint:
            return DatasetError(f"{name} {message}", hint=hint)
    return DatasetError(f"{name} is not a CSV file of this dialect")
