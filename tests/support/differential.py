"""Runs a query twice: planned by us and run by our engine, and as it stands by DuckDB."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

import duckdb
import pyarrow as pa

from mc2.engine.limits import EngineLimits
from mc2.engine.outputs import Output, TableOutput
from mc2.engine.run import execute
from mc2.formats.arrow import schema_of
from mc2.formats.schema import Schema
from mc2.plan.check import check_plan
from mc2.plan.plan import Plan
from mc2.planner.catalog import Catalog
from mc2.planner.script import compile_here
from tests.support.catalogs import PACKAGES, catalog
from tests.support.spread import execute_spread

LIMITS = EngineLimits(memory_bytes=256 * 1024 * 1024, threads=1)


@dataclass
class ArrowSource:
    """A table in memory, as the engine reads it, perhaps in batches of so many rows."""

    table: pa.Table
    rows: int | None = None

    @property
    def schema(self) -> Schema:
        return schema_of(self.table.schema)

    def batches(self) -> Iterator[pa.RecordBatch]:
        yield from self.table.to_batches(self.rows)


def catalog_of_tables(tables: Mapping[str, pa.Table]) -> Catalog:
    """A catalog of such tables, in which everybody may receive."""
    known = {}
    for name, table in tables.items():
        columns = schema_of(table.schema).columns
        known[name] = {c.name: f"{c.type}{'' if c.nullable else ' not null'}" for c in columns}
    return catalog(known)


def planned(query: str, tables: Mapping[str, pa.Table]) -> list[tuple]:
    """The rows that our plan of a query gives."""
    script = (
        f"import mc2\njob = mc2.Job('t')\njob.release('r', job.sql({query!r}), to='institute')\n"
    )
    plan = compile_here(script, name="t.py", catalog=catalog_of_tables(tables), packages=PACKAGES)
    return rows_of(table_of(plan, tables, "r"))


def in_one_piece(plan: Plan, tables: Mapping[str, pa.Table]) -> Mapping[str, Output]:
    """What a plan gives in one engine."""
    sources = {i.dataset: ArrowSource(tables[i.dataset]) for i in plan.inputs}
    return execute(check_plan(plan), sources, LIMITS, lambda _: None)


def in_enclaves(count: int, plan: Plan, tables: Mapping[str, pa.Table]) -> Mapping[str, Output]:
    """What a plan gives in so many enclaves, with sealed blocks between."""
    return execute_spread(plan, tables, LIMITS, enclaves=count)


RUN: Callable[[Plan, Mapping[str, pa.Table]], Mapping[str, Output]] = in_one_piece
"""Where plans run; the fixture `enclaves` sets it."""


def table_of(plan: Plan, tables: Mapping[str, pa.Table], output: str) -> pa.Table:
    """The table that a plan gives, where `RUN` says."""
    found = RUN(plan, tables)[output]
    assert isinstance(found, TableOutput)
    return found.table


def direct(query: str, tables: Mapping[str, pa.Table]) -> list[tuple]:
    """The rows that DuckDB gives for the text itself, with Spark's order of NULLs."""
    with duckdb.connect() as connection:
        connection.execute("SET default_null_order='nulls_first_on_asc_last_on_desc'")
        for name, table in tables.items():
            party, _, inner = name.partition(".")
            connection.execute(f"CREATE SCHEMA IF NOT EXISTS {party}")
            connection.register("given", table)
            connection.execute(f"CREATE TABLE {party}.{inner} AS SELECT * FROM given")
            connection.unregister("given")
        return rows_of(connection.sql(query).to_arrow_table())


def rows_of(table: pa.Table) -> list[tuple]:
    """Rows with numbers of one kind, so that 1, 1.0 and Decimal('1.00') are the same."""
    columns = [[plain(v) for v in _values(c)] for c in table.columns]
    return list(zip(*columns, strict=True))


def _values(column: pa.ChunkedArray) -> list:
    """The values; dates by their days if there are some that Python has no dates for."""
    try:
        return column.to_pylist()
    except OverflowError:
        return column.cast(pa.int32()).to_pylist()


def plain(value):
    match value:
        case bool() | None | str():
            return value
        case int() | float() | Decimal():
            number = float(value)
            return "NaN" if math.isnan(number) else round(number, 6) + 0.0
        case datetime():
            return value.replace(tzinfo=None).isoformat()
        case date():
            return f"{value.isoformat()}T00:00:00"
        case _:
            return repr(value)


def same_rows(a: list[tuple], b: list[tuple]) -> bool:
    """Whether two results are the same rows, in whatever order."""
    return sorted(map(repr, a)) == sorted(map(repr, b))
