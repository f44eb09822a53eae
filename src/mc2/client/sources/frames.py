"""Tables in memory: Arrow, pandas, polars, and whatever speaks Arrow's stream interface.

pandas and polars are recognised without being imported: who brings a frame has imported them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

import pyarrow as pa

from mc2.client.sources.source import rows_per_step
from mc2.client.sources.spool import from_stream
from mc2.client.sources.typed import TypedSource
from mc2.errors import UsageError
from mc2.formats.schema import Column

_MEMORY_ROWS: Final = 1 << 18  # slices of what is in memory anyway cost nothing
_KNOWN: Final = "files of many formats, Arrow tables and readers, pandas and polars frames"


def from_table(
    table: pa.Table, declared: Mapping[str, Column], *, name: str = "the table"
) -> TypedSource:
    """An Arrow table, which is not copied."""
    step = rows_per_step(table.nbytes / max(1, table.num_rows), _MEMORY_ROWS)

    def read(columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        yield from table.select(list(columns)).to_batches(max_chunksize=step)

    return TypedSource(name, table.schema, read, declared)


def from_frame(frame: Any, declared: Mapping[str, Column]) -> TypedSource:
    """Anything tabular in memory, or a stream of it. Raises: UsageError, DatasetError."""
    if isinstance(frame, pa.RecordBatchReader):
        return from_stream("the stream", frame.schema, frame, declared)
    name, table = _table_of(frame)
    if table is not None:
        return from_table(table, declared, name=name)
    if hasattr(frame, "__arrow_c_stream__"):
        reader = pa.RecordBatchReader.from_stream(frame)
        return from_stream("the stream", reader.schema, reader, declared)
    if isinstance(frame, Iterable) and not isinstance(frame, (str, bytes, Mapping)):
        return _from_batches(iter(frame), declared)
    raise UsageError(f"{name} is not a table", hint=f"these are: {_KNOWN}")


def _table_of(frame: Any) -> tuple[str, pa.Table | None]:
    """What to call a frame, and its table if all of it is in memory."""
    if isinstance(frame, pa.Table):
        return "the table", frame
    if isinstance(frame, pa.RecordBatch):
        return "the batch", pa.Table.from_batches([frame])
    name = f"{type(frame).__module__.partition('.')[0]}.{type(frame).__name__}"
    if name == "pandas.DataFrame":
        return "the pandas frame", _from_pandas(frame)
    if name == "polars.DataFrame":
        return "the polars frame", frame.to_arrow()
    if name == "polars.LazyFrame":
        raise UsageError("a lazy frame has no rows yet", hint="collect it first: frame.collect()")
    return name, None


def _from_batches(items: Iterator[Any], declared: Mapping[str, Column]) -> TypedSource:
    batches = chain.from_iterable(_batches_of(item) for item in items)
    first = next(batches, None)
    if first is None:
        raise UsageError(
            "a stream without one batch has no columns", hint="yield an empty batch with its schema"
        )
    return from_stream("the stream", first.schema, chain([first], batches), declared)


def _batches_of(item: Any) -> Iterable[pa.RecordBatch]:
    if isinstance(item, pa.RecordBatch):
        return [item]
    if isinstance(item, pa.Table):
        batches: list[pa.RecordBatch] = item.to_batches()
        return batches or [pa.RecordBatch.from_pylist([], schema=item.schema)]
    raise UsageError(
        f"a stream yields {type(item).__name__}", hint="let it yield Arrow record batches or tables"
    )


def _from_pandas(frame: Any) -> pa.Table:
    """Convert a pandas frame: NaN, None, NaT and NA are NULL there, and so they are here."""
    named = [name for name in frame.index.names if name is not None]
    if named:
        raise UsageError(
            f"the frame has an index that is named {named[0]!r}",
            hint="make it a column: frame.reset_index(); or drop it: frame.reset_index(drop=True)",
        )
    try:
        return pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata(None)
    except (pa.ArrowException, ValueError, TypeError):  # Arrow's message may quote values
        raise UsageError(
            "the pandas frame has a column of mixed or unknown objects, or two of one name",
            hint="give each column one type: frame.astype(...), and its own name",
        ) from None
