"""Inputs as DuckDB reads them: Arrow streams of the columns that a plan reads.

Texts come as dictionaries where a source may give them so: DuckDB then compares, groups and counts
each text once instead of row by row. A stream has one schema, and chunks choose for themselves, so
a chunk without codes gets the plainest ones: row i has text i.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa

from mc2.engine.outputs import ColumnSource, TableSource
from mc2.engine.sql_types import engine_arrow_type
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema
from mc2.formats.codes import is_coded
from mc2.formats.limits import LIMITS
from mc2.formats.narrow import short_type

_CODED: Final = pa.dictionary(pa.int32(), pa.string())
_PLAIN_CODES: Final = np.arange(LIMITS.chunk_rows, dtype=np.int32)


class Stream:
    """An input as DuckDB reads it: some of its columns, batch by batch, each time from the start.

    `failure` keeps what went wrong while reading, which DuckDB would turn into its own error.
    """

    def __init__(self, source: TableSource, names: tuple[str, ...]) -> None:
        columns = source.schema.by_name()
        self._names = names
        self._source = source
        self._narrow: ColumnSource | None = None
        expected = arrow_schema(source.schema)
        coded = False
        if names and isinstance(source, ColumnSource):
            self._narrow = source
            coded = source.coded
            expected = pa.schema([expected.field(name) for name in names])
            source.columns(names)  # so that it knows of them, even if no query needs a row
        self._expected = expected
        types = [engine_arrow_type(columns[name].type) for name in names]
        self._schema = pa.schema(
            [
                (f"c{i}", _CODED if coded and kind == pa.string() else short_type(kind))
                for i, kind in enumerate(types)
            ]
        )
        self.failure: Exception | None = None

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        reader = pa.RecordBatchReader.from_batches(self._schema, self._batches())
        return reader.__arrow_c_stream__(requested_schema)

    def table(self, most: int) -> pa.Table | None:
        """All rows, if they take no more than `most` bytes. Raises: what reading raises."""
        found, taken = [], 0
        for batch in self._batches():
            taken += batch.nbytes
            if taken > most:
                return None
            found.append(batch)
        return pa.Table.from_batches(found, schema=self._schema)

    def _batches(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._read():
                yield self._narrowed(batch)
        except Exception as error:
            self.failure = error
            raise

    def _read(self) -> Iterator[pa.RecordBatch]:
        if self._narrow is not None:
            return self._narrow.columns(self._names)
        return self._source.batches()

    def _narrowed(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        if batch.schema.names != self._expected.names or not all(
            found in {field.type, short_type(field.type)}
            or (field.type == pa.string() and is_coded(found))
            for found, field in zip(batch.schema.types, self._expected, strict=True)
        ):
            raise EngineError("an input has other columns than its schema says")
        arrays = [
            _in_codes(batch.column(name)) if field.type == _CODED else _plain(batch, name, field)
            for name, field in zip(self._names, self._schema, strict=True)
        ]
        return pa.record_batch(arrays, schema=self._schema)


def _plain(batch: pa.RecordBatch, name: str, field: pa.Field) -> pa.Array:
    return batch.column(name).cast(field.type)


def _in_codes(array: pa.Array) -> pa.Array:
    """A column of texts by codes of one width; rows of one that has none count themselves."""
    if is_coded(array.type):
        codes, texts = array.indices.cast(pa.int32()), array.dictionary
    else:
        missing = np.asarray(array.is_null()) if array.null_count else None
        codes, texts = pa.array(_PLAIN_CODES[: len(array)], mask=missing), array
    # Codes of a chunk were checked when it was opened.
    return pa.DictionaryArray.from_arrays(codes, texts, safe=False)
