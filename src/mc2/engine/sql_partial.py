"""SQL of aggregates in two steps: partial sums of rows, and results from partial sums.

Spec: docs/spec/task.md, section "Partial sums". What is summed up where must not show: a sum of
floats is handed on as a list of doubles whose exact sum is that of the rows.
"""

from __future__ import annotations

from collections.abc import Iterator

from mc2.engine.routines import FLOAT_AGGREGATES
from mc2.engine.routines_partial import EXPANSION, MEAN_OF_ADDENDS
from mc2.engine.sql_decimals import combine
from mc2.engine.sql_expressions import ExpressionWriter
from mc2.engine.sql_nested import extreme, positive_zero
from mc2.engine.sql_terms import Scribe, Term, cast_to
from mc2.formats.schema import DataType, Schema
from mc2.formats.schema import decimal as decimal_of
from mc2.plan.partial import partial_columns, result_schema
from mc2.plan.relations import Aggregate, AggregateColumn
from mc2.plan.types import DOUBLE, INT64, TYPE_CLASSES, is_integer, sum_type
from mc2.plan.typing import type_of

_COUNT = decimal_of(19, 0)


def partial_query(scribe: Scribe, operation: Aggregate, source: Schema, query: str) -> str:
    """Partial sums over the rows of a query with columns named by their places."""
    columns = source.by_name()
    places = {c.name: f"c{i}" for i, c in enumerate(source.columns)}
    writer = ExpressionWriter(scribe, columns, places)
    inner, shown, groups = [], [], []
    for i, key in enumerate(operation.keys):
        inner.append(f"{positive_zero(places[key], columns[key].type)} AS k{i}")
        shown.append(f"k{i}")
        groups.append(f"k{i}")
    for i, column in enumerate(operation.aggregates):
        inner.append(f"{_operand(writer, column)} AS a{i}")
        kind = type_of(column.arguments[0], columns).type if column.arguments else INT64
        shown += _partial(scribe, column, f"a{i}", kind)
    named = ", ".join(f"{text} AS c{i}" for i, text in enumerate(shown))
    by = f" GROUP BY {', '.join(groups)}" if groups else ""
    return f"SELECT {named} FROM (SELECT {', '.join(inner)} FROM ({query})){by}"  # noqa: S608  our own names


def _operand(writer: ExpressionWriter, column: AggregateColumn) -> str:
    sql = writer.term(column.arguments[0]).sql if column.arguments else "1"
    if column.where is not None:
        sql = f"CASE WHEN {writer.term(column.where).sql} THEN {sql} END"
    return sql


def _partial(scribe: Scribe, column: AggregateColumn, sql: str, kind: DataType) -> Iterator[str]:
    match column.function:
        case "count" | "count_star":
            yield f"count({sql})"
            return
        case "min" | "max" | "bool_and" | "bool_or":
            yield extreme(column.function, sql, kind)
            return
    if is_integer(kind):
        yield f"CAST(sum({sql}) AS DECIMAL(38,0))"
    elif kind.name in TYPE_CLASSES["fraction"]:
        listed = f"list({cast_to(sql, DOUBLE)}) FILTER (WHERE {sql} IS NOT NULL)"
        yield scribe.call(EXPANSION, listed)
    else:
        yield cast_to(f"sum({sql})", sum_type(kind))
    if column.function == "avg":
        yield f"count({sql})"


def finish_query(scribe: Scribe, operation: Aggregate, source: Schema, table: str) -> str:
    """The results from a table of partial sums with columns named by their places."""
    columns = source.by_name()
    place = len(operation.keys)
    shown = [f"c{i}" for i in range(place)]
    results = result_schema(operation, source).columns[place:]
    for column, result in zip(operation.aggregates, results, strict=True):
        kinds = partial_columns(column, columns)
        kind = type_of(column.arguments[0], columns).type if column.arguments else INT64
        parts = [f"c{place + i}" for i in range(len(kinds))]
        shown.append(_finished(scribe, column.function, parts, kind, result.type))
        place += len(kinds)
    named = ", ".join(f"{text} AS c{i}" for i, text in enumerate(shown))
    groups = ", ".join(f"c{i}" for i in range(len(operation.keys)))
    by = f" GROUP BY {groups}" if groups else ""
    return f"SELECT {named} FROM {table}{by}"  # noqa: S608  our own names


def _finished(
    scribe: Scribe, function: str, parts: list[str], kind: DataType, result: DataType
) -> str:
    total = parts[0]
    fraction = kind.name in TYPE_CLASSES["fraction"]
    addends = f"flatten(list({total}) FILTER (WHERE {total} IS NOT NULL))"
    match function:
        case "min" | "max" | "bool_and" | "bool_or":
            return extreme(function, total, kind)
        case "sum" if fraction:
            return scribe.call(FLOAT_AGGREGATES["sum"], addends)
        case "sum" | "count" | "count_star":
            return cast_to(f"sum({total})", result)
    count = f"CAST(sum({parts[1]}) AS BIGINT)"
    if fraction:
        return scribe.call(MEAN_OF_ADDENDS, addends, count)
    if is_integer(kind):  # by way of text, as in sql_aggregates: both must round once
        exact = f"CAST(CAST(CAST(sum({total}) AS DECIMAL(38,0)) AS VARCHAR) AS DOUBLE)"
        return f"({exact} / nullif({count}, 0))"
    summed = Term(cast_to(f"sum({total})", sum_type(kind)), sum_type(kind), nullable=True)
    # The divisor is NULL rather than zero where there is no row: there the mean is NULL.
    counted = Term(cast_to(f"nullif({count}, 0)", _COUNT), _COUNT, nullable=True)
    return combine(scribe, "divide", summed, counted, result)
