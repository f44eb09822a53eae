"""One DuckDB connection for one job: locked down, in memory, gone afterwards.

Errors of DuckDB may quote data, so their text never leaves this module: the kind of an error
decides on a text of ours.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Final, Self

import duckdb
import pyarrow as pa
from duckdb.func import FunctionNullHandling, PythonUDFType

from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import TableSource
from mc2.engine.routines import PARSE, RANGE, TEXT, ZERO, Routine
from mc2.engine.sql_lookups import SEVERAL
from mc2.engine.sql_types import engine_arrow_type
from mc2.engine.streams import Stream
from mc2.errors import EngineError
from mc2.formats.arrow import arrow_schema, arrow_type
from mc2.formats.schema import DataType, Schema

_SETTINGS: Final[Mapping[str, str | bool]] = {
    "allow_community_extensions": False,
    "allow_persistent_secrets": False,
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    # It computes constants before it has a row, and `x * 300 * -8` as `x * -2400`: both fail where
    # no row does. What of it matters for speed is done in ExpressionWriter.condition.
    "disabled_optimizers": "expression_rewriter",
    "enable_external_access": False,
    "max_temp_directory_size": "0 bytes",
    "preserve_insertion_order": True,
    "python_enable_replacements": False,  # a table's name never means a Python variable
    "temp_directory": "",
}
_DIVISION: Final = "Division by zero in expression"


class Database:
    """A connection of its own, closed by `with`."""

    def __init__(self, limits: EngineLimits) -> None:
        memory = f"{limits.memory_bytes} bytes"
        self._connection = duckdb.connect(
            ":memory:", config={**_SETTINGS, "memory_limit": memory, "threads": limits.threads}
        )
        # Only a connection can be told: without a script it would draw a bar on standard output.
        self._connection.execute("SET enable_progress_bar = false")
        self._connection.execute("SET lock_configuration = true")
        self._routines: set[str] = set()
        self._streams: dict[str, Stream] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget all tables."""
        self._connection.close()

    def attach(self, name: str, source: TableSource, columns: tuple[str, ...]) -> None:
        """Make columns of an input readable under a name; they are read when a query runs."""
        stream = Stream(source, columns)
        self._streams[name] = stream
        self._connection.register(name, stream)

    def hold(self, name: str, most: int) -> int | None:
        """Read what is attached into memory: DuckDB then knows how many rows it has.

        The bytes that it takes; None if these were more than `most`, and it is read as a stream.
        Raises: what reading an input raises.
        """
        if name not in self._streams:
            return 0  # it is a table of the database already
        table = self._streams[name].table(most)
        if table is None:
            return None
        self._connection.unregister(name)
        self._connection.register(name, table)
        return int(table.nbytes)

    def put(self, name: str, table: pa.Table, schema: Schema) -> None:
        """Make a table in a plan's schema readable under a name."""
        target = _place_schema([c.type for c in schema.columns])
        arrays = [c.cast(f.type) for c, f in zip(table.columns, target, strict=True)]
        self._connection.register(name, pa.table(arrays, schema=target))

    def store(self, name: str, query: str, routines: Iterable[Routine]) -> None:
        """Compute a query into a table. Raises: EngineError, or what reading an input raised."""
        self._prepare(routines)
        try:
            self._connection.execute(f"CREATE TEMP TABLE {name} AS {query}")
        except Exception as error:  # noqa: BLE001  # every kind is told apart in _translated
            raise self._translated(error) from None

    def count(self, name: str) -> int:
        """How many rows a stored table has."""
        found = self._connection.execute(f"SELECT count(*) FROM {name}").fetchall()  # noqa: S608  # our own name
        return int(found[0][0])

    def fetch(self, query: str, schema: Schema, routines: Iterable[Routine]) -> pa.Table:
        """The rows of a query, exactly in a plan's schema.

        Raises: EngineError, or what reading an input raised.
        """
        self._prepare(routines)
        try:
            found = self._connection.sql(query).to_arrow_table()
        except Exception as error:  # noqa: BLE001  # every kind is told apart in _translated
            raise self._translated(error) from None
        return in_schema(found, schema)

    def stream(
        self, query: str, schema: Schema, routines: Iterable[Routine], *, rows: int
    ) -> Iterator[tuple[pa.RecordBatch, pa.Array]]:
        """The rows of a query in a plan's schema, some at a time, and one column beyond it.

        No other query may run before the last batch was read.

        Raises: EngineError, or what reading an input raised.
        """
        self._prepare(routines)
        names = [f"c{i}" for i in range(len(schema))]
        try:
            for batch in self._connection.sql(query).to_arrow_reader(rows):
                table = in_schema(pa.Table.from_batches([batch]).select(names), schema)
                for whole in table.combine_chunks().to_batches():
                    yield whole, batch.column(len(names))
        except EngineError:
            raise
        except Exception as error:  # noqa: BLE001  # every kind is told apart in _translated
            raise self._translated(error) from None

    def _prepare(self, routines: Iterable[Routine]) -> None:
        for routine in routines:
            if routine.name not in self._routines:
                self._connection.create_function(
                    routine.name,
                    routine.compute,
                    list(routine.parameters),
                    routine.result,
                    type=PythonUDFType.ARROW,
                    null_handling=FunctionNullHandling.SPECIAL,  # routines handle NULL
                )
                self._routines.add(routine.name)

    def _translated(self, error: Exception) -> Exception:
        for stream in self._streams.values():
            if stream.failure is not None:
                return stream.failure
        return translated(error)


class DatabaseAhead:
    """A database that is opened in a thread while a job waits for something else.

    Opening one takes as long as a small query, and it holds nothing yet.
    """

    def __init__(self, limits: EngineLimits) -> None:
        pool = ThreadPoolExecutor(1, "database")
        self._opening: Future[Database] | None = pool.submit(Database, limits)
        pool.shutdown(wait=False)  # its thread ends with its one task

    def take(self) -> Database:
        """The database, once; whoever takes it closes it. Raises: what opening it raised."""
        opening, self._opening = self._opening, None
        if opening is None:
            raise RuntimeError("a database was taken or closed before")
        return opening.result()

    def close(self) -> None:
        """Close the database, if nobody took it."""
        opening, self._opening = self._opening, None
        if opening is not None and opening.exception() is None:
            opening.result().close()


def translated(error: Exception) -> EngineError:
    """Our words for a failure of DuckDB, chosen by its kind alone."""
    text = str(error)
    asked = isinstance(error, duckdb.InvalidInputException)
    kinds = (
        (isinstance(error, duckdb.OutOfMemoryException | MemoryError), _OUT_OF_MEMORY),
        (asked and (_DIVISION in text or ZERO in text), _ZERO_DIVISOR),
        (asked and SEVERAL in text, _SEVERAL_ROWS),
        (isinstance(error, duckdb.OutOfRangeException) or RANGE in text, _OUT_OF_RANGE),
        (TEXT in text, _BAD_TEXT),
        (PARSE in text, _NO_MATCH),
        (isinstance(error, duckdb.ConversionException), _BAD_CAST),
    )
    for found, (message, hint) in kinds:
        if found:
            return EngineError(message, hint=hint)
    # The text may quote data. The kind does not.
    return EngineError(f"the database failed with {type(error).__name__}")


_OUT_OF_MEMORY: Final = (
    "the job needs more memory than the engine may use",
    "run it on a larger machine, or join and group less at once",
)
_ZERO_DIVISOR: Final = (
    "a divisor is zero",
    "leave such rows out, or write nullif(divisor, 0) to get NULL for them",
)
_SEVERAL_ROWS: Final = (
    "a subquery that must give one row gives several",
    "aggregate in it, for example max(...), or add a condition that leaves one row",
)
_OUT_OF_RANGE: Final = (
    "a result is out of its type's range",
    "cast to a wider type before computing",
)
_BAD_TEXT: Final = (
    "a text has characters, or bytes, that its character set lacks",
    "leave such rows out, or use UTF-8",
)
_NO_MATCH: Final = (
    "a text does not fit the pattern that it is read by",
    "leave such rows out, or use try_to_date or try_to_timestamp to get NULL for them",
)
_BAD_CAST: Final = (
    "a value does not fit the type that it is cast to",
    "leave such rows out, or use try_cast to get NULL for them",
)


def _place_schema(types: Iterable[DataType]) -> pa.Schema:
    return pa.schema([(f"c{i}", engine_arrow_type(t)) for i, t in enumerate(types)])


def in_schema(table: pa.Table, schema: Schema) -> pa.Table:
    """A table with columns c0, c1, … in a plan's names, types and NULLs.

    Raises: EngineError if a column that may hold no NULL holds one.
    """
    target = arrow_schema(schema)
    arrays = []
    for array, column in zip(table.columns, schema.columns, strict=True):
        cast = array.cast(engine_arrow_type(column.type)).cast(arrow_type(column.type))
        if cast.null_count and not column.nullable:
            raise EngineError(f"the column {column.name!r} holds NULL, which the plan rules out")
        arrays.append(cast)
    return pa.table(arrays, schema=target)
