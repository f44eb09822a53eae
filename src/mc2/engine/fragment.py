"""Runs one stage's piece of a plan, and spreads what it hands on over the parts of an exchange.

Rows that are equal in their keys meet in one part, in whichever enclave they were: so NULL, NaN
and zeros of both signs hash alike everywhere. Which part is no secret: its size is public anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
import pyarrow as pa

from mc2.engine.database import Database
from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import ColumnSource, Output, TableSource
from mc2.engine.run import Run, Together
from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_nested import alike
from mc2.engine.sql_partial import finish_query, partial_query
from mc2.engine.sql_terms import Scribe
from mc2.formats.schema import Schema
from mc2.plan.check import CheckedPlan
from mc2.plan.fragments import NOTHING
from mc2.plan.relations import Aggregate
from mc2.plan.stages import Exchange

_ROWS: Final = 131_072
"""Rows of a block, and of what is fetched at once."""

_HELD_BYTES: Final = 64 * 1024 * 1024
"""Of all parts that do not fill a block yet; beyond it blocks become smaller than they should."""


@dataclass(frozen=True, slots=True)
class FragmentInput:
    """A source of a stage: its rows as they come, and what remains to be done with them.

    `ordered`: the rows stand in an order that counts. `partial`: they are partial sums over
    `schema` that are to be put together first.
    """

    rows: TableSource
    ordered: bool = True
    partial: Aggregate | None = None
    schema: Schema | None = None


@contextmanager
def open_fragment(
    checked: CheckedPlan,
    inputs: Mapping[str, FragmentInput],
    limits: EngineLimits,
    progress: Callable[[str], None],
    together: Together | None = None,
    key: bytes = b"",
) -> Iterator[Fragment]:
    """Compute a fragment as far as what it hands on can be read.

    `together` are the trainings that other enclaves share. From `key` noisy edges are drawn.

    Raises: EngineError, and what reading an input raises.
    """
    if NOTHING in {i.dataset for i in checked.plan.inputs}:
        inputs = {NOTHING: FragmentInput(_NoRows(checked.plan.inputs[0].schema))}
    with Database(limits) as database:
        shuffled = {
            place
            for place, source in enumerate(checked.plan.inputs)
            if not inputs[source.dataset].ordered
        }
        run = _FragmentRun(checked, database, limits, progress, shuffled, together)
        run.key = key
        run.partial_inputs = {
            place: inputs[source.dataset] for place, source in enumerate(checked.plan.inputs)
        }
        run.read_inputs({name: _Shown(source, checked, name) for name, source in inputs.items()})
        for index in range(len(checked.plan.nodes)):
            run.compute(index)
        yield Fragment(checked, run, database)


class Fragment:
    """A fragment that was computed; its results are read one after the other."""

    def __init__(self, checked: CheckedPlan, run: Run, database: Database) -> None:
        self._checked = checked
        self._run = run
        self._database = database

    def outputs(self) -> Mapping[str, Output]:
        """The outputs of the whole plan, from its last stage. Raises: EngineError."""
        return {o.name: self._run.output(o) for o in self._checked.plan.outputs}

    def parts(self, exchange: Exchange) -> Iterator[tuple[int, pa.RecordBatch]]:
        """What is handed on: batches of at most 131,072 rows, each with the part it belongs to.

        Parts come in no order, batches of one part in theirs. Raises: EngineError.
        """
        query, routines = self._run.query(exchange.node, in_order=False)
        scribe = Scribe({r.name: r for r in routines})
        if exchange.partial is not None:
            query = partial_query(scribe, exchange.partial, exchange.schema, query)
        query = _with_part(scribe, exchange, query)
        found = self._database.stream(query, exchange.written, scribe.routines.values(), rows=_ROWS)
        yield from _spread(found, exchange)


class _FragmentRun(Run):
    """A run whose inputs may be partial sums."""

    partial_inputs: Mapping[int, FragmentInput]

    def _attach(self, place: int, table: TableSource, names: tuple[str, ...]) -> None:
        source = self.partial_inputs[place]
        if source.partial is None or source.schema is None:
            super()._attach(place, table, names)
            return
        self._database.attach(f"p{place}", source.rows, source.rows.schema.names)
        scribe = Scribe()
        query = finish_query(scribe, source.partial, source.schema, f"p{place}")
        self._database.store(f"f{place}", query, scribe.routines.values())
        order = {n: i for i, n in enumerate(table.schema.names)}
        columns = ", ".join(f"c{order[n]} AS c{i}" for i, n in enumerate(names))
        self._database.store(f"s{place}", f"SELECT {columns} FROM f{place}", ())  # noqa: S608  our own names


@dataclass(frozen=True, slots=True)
class _NoRows:
    """What a stage reads that reads nothing."""

    schema: Schema

    def batches(self) -> Iterator[pa.RecordBatch]:
        """None."""
        yield from ()


@dataclass(frozen=True, slots=True)
class _Shown:
    """An input under the columns that the fragment sees."""

    source: FragmentInput
    checked: CheckedPlan
    name: str

    @property
    def schema(self) -> Schema:
        """The columns after partial sums were put together."""
        return next(i.schema for i in self.checked.plan.inputs if i.dataset == self.name)

    @property
    def coded(self) -> bool:
        """Whether texts of named columns may come by codes."""
        return isinstance(self.source.rows, ColumnSource) and self.source.rows.coded

    def batches(self) -> Iterator[pa.RecordBatch]:
        """The rows as they come."""
        return self.source.rows.batches()

    def columns(self, names: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """Some columns of the rows, in the schema's order; all columns if none is named."""
        if isinstance(self.source.rows, ColumnSource):
            return self.source.rows.columns(names)
        batches = self.source.rows.batches()
        return (b.select([n for n in b.schema.names if not names or n in names]) for b in batches)


def _with_part(scribe: Scribe, exchange: Exchange, query: str) -> str:
    """Add a column `part`: a hash of the keys, alike for all that compare as equal."""
    columns = ", ".join(f"c{i}" for i in range(len(exchange.written)))
    if exchange.partitions == 1 or not exchange.keys:
        return f"SELECT {columns}, CAST(0 AS INTEGER) AS part FROM ({query})"  # noqa: S608  our own names
    if exchange.partial is not None:  # keys stand first in partial sums
        kinds = [c.type for c in exchange.written.columns[: len(exchange.keys)]]
        terms = [(f"c{i}", kind) for i, kind in enumerate(kinds)]
    else:
        names = {c.name: f"c{i}" for i, c in enumerate(exchange.schema.columns)}
        writer = ExpressionWriter(scribe, exchange.schema.by_name(), names)
        found = [writer.term(k) for k in exchange.keys]
        terms = [(t.sql, t.type) for t in found]
    hashed = ", ".join(alike(sql, kind) for sql, kind in terms)
    part = f"CAST(hash({hashed}) % {exchange.partitions} AS INTEGER)"
    return f"SELECT {columns}, {part} AS part FROM ({query})"  # noqa: S608  our own names


def _spread(
    batches: Iterator[tuple[pa.RecordBatch, pa.Array]], exchange: Exchange
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Sort rows into parts: full blocks as soon as there are some, what is left at the end."""
    waiting = _Waiting()
    for batch, parts in batches:
        for part, rows in _by_part(batch, parts, exchange.partitions):
            waiting.add(part, rows)
            while (full := waiting.full()) is not None:
                yield from waiting.take(full)
    for part in sorted(waiting.parts):
        yield from waiting.take(part)


class _Waiting:
    """Rows of each part that do not fill a block yet."""

    def __init__(self) -> None:
        self.parts: dict[int, list[pa.RecordBatch]] = {}
        self._rows: dict[int, int] = {}
        self._bytes: dict[int, int] = {}

    def add(self, part: int, rows: pa.RecordBatch) -> None:
        """Keep rows of a part."""
        self.parts.setdefault(part, []).append(rows)
        self._rows[part] = self._rows.get(part, 0) + rows.num_rows
        self._bytes[part] = self._bytes.get(part, 0) + rows.nbytes

    def full(self) -> int | None:
        """A part that fills a block; or the largest, if all together are too large to keep."""
        largest = max(self._bytes, key=lambda part: (self._bytes[part], part), default=None)
        if largest is not None and sum(self._bytes.values()) > _HELD_BYTES:
            return largest
        return next((part for part, rows in self._rows.items() if rows >= _ROWS), None)

    def take(self, part: int) -> Iterator[tuple[int, pa.RecordBatch]]:
        """Let go of a part's rows."""
        table = pa.Table.from_batches(self.parts.pop(part)).combine_chunks()
        del self._rows[part], self._bytes[part]
        for batch in table.to_batches(max_chunksize=_ROWS):
            yield part, batch


def _by_part(
    batch: pa.RecordBatch, parts: pa.Array, count: int
) -> Iterator[tuple[int, pa.RecordBatch]]:
    if not batch.num_rows:
        return
    if count == 1:
        yield 0, batch
        return
    numbers = parts.to_numpy(zero_copy_only=False)
    order = np.argsort(numbers, kind="stable")
    bounds = np.searchsorted(numbers[order], np.arange(count + 1))
    sorted_rows = batch.take(pa.array(order))
    for part in range(count):
        start, end = int(bounds[part]), int(bounds[part + 1])
        if start < end:
            yield part, sorted_rows.slice(start, end - start)
