"""Aggregate calls: `count(*) FILTER (WHERE ...)`, `sum(DISTINCT x)`; and where they may stand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.expressions import Expression
from mc2.plan.relations import AggregateColumn
from mc2.plan.types import BOOLEAN, DOUBLE
from mc2.planner.calls import build_call
from mc2.planner.calls_lists import struct_of
from mc2.planner.percentiles import percentiles
from mc2.planner.regressions import REGRESSIONS, regression
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText
from mc2.planner.statistics import STATISTICS, statistic, unwrapped
from mc2.planner.typed import Typed, all_true, convert

AGGREGATES: Final = {
    "count": "count", "count_if": "count_if", "sum": "sum", "avg": "avg", "mean": "avg",
    "min": "min", "max": "max", "stddev": "stddev_samp", "std": "stddev_samp",
    "stddev_samp": "stddev_samp", "stddev_pop": "stddev_pop", "variance": "var_samp",
    "var_samp": "var_samp", "var_pop": "var_pop", "bool_and": "bool_and", "every": "bool_and",
    "bool_or": "bool_or", "some": "bool_or", **STATISTICS, **{n: n for n in REGRESSIONS},
}  # fmt: skip
"""Spark's aggregate functions, as the plan calls them; those of regressions are formulas."""
_OF_DOUBLES: Final = ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
_INSTEAD: Final = {
    "WHERE": "put the condition into HAVING",
    "SELECT": "name it in SELECT as it stands",
    "ORDER BY": "name it in SELECT, and order by that name",
    "GROUP BY": "group by columns, and aggregate in a query around this one",
    "ON": "aggregate in a subquery, and join with that",
    "VALUES": "VALUES holds constants",
    "QUALIFY": "name it in SELECT as it stands",
    "an aggregate": "aggregate in a subquery, and aggregate its result",
}


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a call is one of an aggregate function."""
    inner, _, _ = unwrapped(node)
    return (
        isinstance(inner, exp.Anonymous)
        and isinstance(inner.this, str)
        and inner.this.lower() in AGGREGATES
    )


def has_aggregate(node: exp.Expr) -> bool:
    """Whether a value holds an aggregate call, outside of subqueries."""
    return any(is_aggregate(n) for n in _outside_windows(node))


def _outside_windows(node: exp.Expr) -> Iterator[exp.Expr]:
    """All parts of a value but subqueries, and the functions of windows themselves."""
    if isinstance(node, exp.Query):
        return
    if isinstance(node, exp.Window):
        inner = node.this
        while isinstance(inner, (exp.IgnoreNulls, exp.RespectNulls, exp.Filter)):
            inner = inner.this
        parts = [*inner.iter_expressions(), *(node.args.get("partition_by") or [])]
        parts += filter(None, [node.args.get("order")])
    else:
        yield node
        parts = list(node.iter_expressions())
    for part in parts:
        yield from _outside_windows(part)


def refuse_aggregates(where: QueryText, clause: str) -> Callable[[exp.Expr], Typed | None]:
    """For clauses that see single rows: an aggregate has no meaning there."""

    def check(node: exp.Expr) -> Typed | None:
        if is_aggregate(node):
            raise where.error(node, f"an aggregate may not stand in {clause}", _INSTEAD[clause])
        return None

    return check


def formula_call(
    rows: Scalars, node: exp.Expr, total: Callable[[AggregateColumn], Typed]
) -> Expression | None:
    """A call that is a formula over aggregates, each of which `total` puts into a column.

    Those are regressions, and percentiles of several shares; None for all else. Raises: PlanError.
    """
    if not is_aggregate(node):
        return None
    inner, condition, key = _parts(rows, node)
    written = str(inner.this).lower()
    if written not in REGRESSIONS:
        return percentiles(rows, inner, key, condition, total)
    if key is not None:
        raise PlanError(f"{written} takes no WITHIN GROUP")
    arguments = list(inner.expressions)
    return regression(rows, written, arguments, condition, lambda c: total(c).expression)


def _parts(rows: Scalars, node: exp.Expr) -> tuple[exp.Expr, Expression | None, exp.Ordered | None]:
    """A call, its condition, and the key of its group."""
    inner, clause, key = unwrapped(node)
    if clause is None:
        return inner, None, key
    return inner, rows.condition(clause, "the condition of FILTER").expression, key


def aggregate_call(rows: Scalars, node: exp.Expr) -> AggregateColumn | None:
    """An aggregate call whose arguments `rows` binds; None if the node is none.

    Raises: PlanError.
    """
    if not is_aggregate(node):
        return None
    node, condition, key = _parts(rows, node)
    written = str(node.this).lower()
    if written in REGRESSIONS:
        raise PlanError(
            f"{written} stands in values of a query with groups, and over windows",
            hint="compute it in a subquery with GROUP BY, and join with that",
        )
    if written in STATISTICS:
        found, _ = statistic(written, node.expressions, key, rows.bind, rows.columns)
        return replace(found, where=condition)
    if key is not None:
        raise PlanError(f"{written} takes no WITHIN GROUP")
    name = AGGREGATES[written]
    arguments, distinct = _arguments(node)
    if name == "count_if":
        test = rows.condition(arguments[0], "the condition of count_if")
        return AggregateColumn("", "count_star", (), where=_both(condition, [test]))
    if len(arguments) > 1:
        return _count_of_several(
            [rows.bind(a) for a in arguments], rows, condition, distinct=distinct
        )
    if name == "count" and isinstance(arguments[0], (exp.Star, exp.Literal)) and not distinct:
        return AggregateColumn("", "count_star", (), where=condition)
    value = _argument(rows, name, arguments[0])
    if name in {"min", "max", "bool_and", "bool_or"}:
        distinct = False  # changes nothing
    return AggregateColumn("", name, (value.expression,), distinct, condition)


def _both(condition: Expression | None, tests: Sequence[Typed]) -> Expression | None:
    """A condition, if there is one, and some more."""
    parts = [t.expression for t in tests]
    return all_true(parts if condition is None else [condition, *parts]) if parts else condition


def _count_of_several(
    values: Sequence[Typed], rows: Scalars, condition: Expression | None, *, distinct: bool
) -> AggregateColumn:
    """`count(a, b)`, or of different pairs: rows in which one is NULL are not counted."""
    if any(v.untyped for v in values):
        raise PlanError("an aggregate of NULL says nothing")
    known = [build_call("isnotnull", [v], rows.columns) for v in values if v.nullable]
    where = _both(condition, known)
    if not distinct:
        return AggregateColumn("", "count_star", (), where=where)
    pairs = [(f"col{place}", value) for place, value in enumerate(values, 1)]
    whole = struct_of(pairs, rows.columns).expression
    return AggregateColumn("", "count", (whole,), distinct=True, where=where)


def _argument(rows: Scalars, name: str, node: exp.Expr) -> Typed:
    value = rows.bind(node)
    if value.untyped:
        raise PlanError("an aggregate of NULL says nothing")
    if name in {"bool_and", "bool_or"} and value.type != BOOLEAN:
        raise PlanError(f"{name} is of booleans, not of {value.type}")
    return convert(value, DOUBLE, rows.columns) if name in _OF_DOUBLES else value


def _arguments(node: exp.Expr) -> tuple[list[exp.Expr], bool]:
    arguments = list(node.expressions)
    distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
    if distinct:
        arguments = list(arguments[0].expressions)
    if not arguments or (len(arguments) > 1 and node.name.lower() != "count"):
        raise PlanError(f"{node.name} takes one argument here", hint="count takes several")
    if isinstance(arguments[0], exp.Star) and node.name.lower() != "count":
        raise PlanError(f"{node.name}(*) has no meaning", hint="name a column")
    if isinstance(arguments[0], exp.Star) and distinct:
        raise PlanError("count(DISTINCT *) has no meaning here", hint="name a column")
    return arguments, distinct
