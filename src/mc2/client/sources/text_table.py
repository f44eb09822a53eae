"""A table whose values come as text: its types found from all of them, then read exactly."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Final

import pyarrow as pa

from mc2.client.sources.columns import declare, named_columns
from mc2.client.sources.infer import Inference
from mc2.client.sources.normal import to_schema
from mc2.client.sources.source import RowsRead, Survey, exactly, fixed_row_bytes
from mc2.formats.schema import Column, DataType, Schema

TEXT: Final = DataType("string")
_THREADS: Final = 2

ReadTexts = Callable[[], Iterator[pa.RecordBatch]]
"""Iterate from the start over batches of text columns, always the same ones."""


class TextTable:
    """Text that can be iterated over again and again, with declared columns if any.

    `exact_decimals`: whether numbers with a point become exact decimals or doubles, where their
    column is not declared. Raises: UsageError for names or declarations that do not do.
    """

    def __init__(
        self,
        name: str,
        names: tuple[str, ...],
        read: ReadTexts,
        declared: Mapping[str, Column],
        *,
        exact_decimals: bool = True,
    ) -> None:
        self._name = name
        self._read = read
        self._declared = declared
        self._exact = exact_decimals
        self._text = named_columns(name, [Column(column, TEXT) for column in names])
        declare(self._text, declared)  # a wrong name shows before anything is read

    @property
    def name(self) -> str:
        """What the owner calls the table."""
        return self._name

    def survey(self, progress: RowsRead) -> Survey:
        """Find the types of columns that are not declared, and measure. Raises: DatasetError."""
        guesses = {n: Inference(exact_decimals=self._exact) for n in self._text.names}
        widest = dict.fromkeys(self._text.names, 0.0)
        rows = 0

        def look(name: str, texts: pa.StringArray) -> None:
            if name not in self._declared:
                guesses[name].feed(texts)
            widest[name] = max(widest[name], texts.nbytes / max(1, len(texts)))

        # Arrow lets go of Python's lock, so columns are looked at side by side.
        with ThreadPoolExecutor(_THREADS, thread_name_prefix="mc2-infer") as pool:
            for batch in self._read():
                list(pool.map(look, self._text.names, batch.columns))
                rows += batch.num_rows
                progress(rows)
        inferred = Schema(tuple(Column(name, guesses[name].result()) for name in guesses))
        schema = declare(inferred, self._declared)
        loose = sum(widest[column.name] for column in schema.columns if column.type.has_width)
        return Survey(schema, rows, loose + fixed_row_bytes(schema))

    def batches(self, survey: Survey) -> Iterator[pa.RecordBatch]:
        """Read again, in the schema of the survey. Raises: DatasetError."""
        return exactly(self.name, survey.rows, self._converted(survey.schema))

    def _converted(self, schema: Schema) -> Iterator[pa.RecordBatch]:
        rows = 0
        for batch in self._read():
            yield to_schema(self.name, batch, schema, first_row=rows + 1)
            rows += batch.num_rows
