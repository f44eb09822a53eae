"""A table that comes with types: Arrow batches, wherever they stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import pyarrow as pa

from mc2.client.sources.columns import declare, named_columns
from mc2.client.sources.normal import closest_type, convert, to_schema
from mc2.client.sources.source import RowsRead, Survey, exactly, fixed_row_bytes
from mc2.client.sources.text import Place
from mc2.errors import FormatError, UsageError
from mc2.formats.schema import Column, Schema

Read = Callable[[Sequence[str]], Iterator[pa.RecordBatch]]
"""Iterate from the start over batches that have at least these columns."""


class TypedSource:
    """Arrow batches that can be iterated over again and again, with declared columns if any."""

    def __init__(
        self, name: str, arrow: pa.Schema, read: Read, declared: Mapping[str, Column]
    ) -> None:
        self._name = name
        self._read = read
        self._schema = declare(closest_schema(name, arrow), declared)

    @property
    def name(self) -> str:
        """What the owner calls the table."""
        return self._name

    def survey(self, progress: RowsRead) -> Survey:
        """Count the rows, and measure those columns whose values differ in length."""
        loose = [c for c in self._schema.columns if c.type.has_width]
        rows, widest = 0, 0.0
        for batch in self._read([c.name for c in loose]):
            sized = sum(self._bytes_of(batch, column, rows) for column in loose)
            if batch.num_rows:
                widest = max(widest, sized / batch.num_rows)
            rows += batch.num_rows
            progress(rows)
        return Survey(self._schema, rows, widest + fixed_row_bytes(self._schema))

    def batches(self, survey: Survey) -> Iterator[pa.RecordBatch]:
        """Iterate in the schema of the survey. Raises: DatasetError."""
        return exactly(self._name, survey.rows, self._converted(survey.schema))

    def _converted(self, schema: Schema) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in self._read(schema.names):
            columns = batch.select(list(schema.names))
            yield to_schema(self._name, columns, schema, first_row=rows + 1)
            rows += batch.num_rows

    def _bytes_of(self, batch: pa.RecordBatch, column: Column, rows: int) -> int:
        place = Place(self._name, column.name, rows + 1)
        size: int = convert(place, batch.column(column.name), column.type).nbytes
        return size


def closest_schema(name: str, arrow: pa.Schema) -> Schema:
    """The schema that holds an Arrow table's values. Raises: UsageError."""
    columns = []
    for field in arrow:
        try:
            columns.append(Column(field.name, closest_type(field.type), field.nullable))
        except FormatError as error:
            raise UsageError(f"{name}: column {field.name!r}: {error}", hint=error.hint) from None
    return named_columns(name, columns)
