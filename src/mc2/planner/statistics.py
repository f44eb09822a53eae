"""Spark's aggregates beyond sums and counts, as the plan calls them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.aggregates import aggregate as plan_aggregate
from mc2.plan.relations import AggregateColumn
from mc2.plan.types import DOUBLE, INT32, is_numeric
from mc2.planner.call_rules import as_text, text, text_literal
from mc2.planner.typed import Typed, constant, convert

Columns = Mapping[str, Column]
Values = Sequence[Typed]

STATISTICS: Final = {
    "any_value": "min", "approx_count_distinct": "count", "covar_samp": "covar_samp",
    "covar_pop": "covar_pop", "corr": "corr", "skewness": "skewness", "kurtosis": "kurtosis",
    "mode": "mode", "median": "percentile", "percentile": "percentile",
    "percentile_cont": "percentile", "percentile_disc": "percentile_disc",
    "percentile_approx": "percentile_disc", "approx_percentile": "percentile_disc",
    "max_by": "max_by", "min_by": "min_by", "collect_list": "collect_list",
    "array_agg": "collect_list", "collect_set": "collect_set", "string_agg": "join_texts",
    "listagg": "join_texts", "bit_and": "bits_and_of", "bit_or": "bits_or_of",
    "bit_xor": "bits_xor_of",
}  # fmt: skip
"""The plan's aggregate for each name. What Spark leaves open is fixed: see docs/spec/plan.md."""

_ARGUMENTS: Final = {"covar_samp": 2, "covar_pop": 2, "corr": 2, "max_by": 2, "min_by": 2}
_WITHIN: Final = ("percentile_cont", "percentile_disc", "listagg", "string_agg", "mode")


def unwrapped(node: exp.Expr) -> tuple[exp.Expr, exp.Expr | None, exp.Ordered | None]:
    """A call without FILTER and WITHIN GROUP: itself, the condition, and the key of the group."""
    condition = key = None
    if isinstance(node, exp.Filter):
        condition, node = node.expression.this, node.this
    if isinstance(node, exp.WithinGroup):
        keys = node.expression.expressions
        if len(keys) != 1:
            raise PlanError("WITHIN GROUP has one key")
        key, node = keys[0], node.this
    return node, condition, key


def statistic(
    name: str,
    arguments: Sequence[exp.Expr],
    key: exp.Ordered | None,
    bind: Callable[[exp.Expr], Typed],
    columns: Columns,
) -> tuple[AggregateColumn, bool]:
    """An aggregate of `STATISTICS`, and whether its values are taken once. Raises: PlanError."""
    distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
    given = list(arguments[0].expressions) if distinct else list(arguments)
    values = [bind(a) for a in given]
    if key is not None:
        values = _within(name, values, key, bind)
    if not values or len(values) < _ARGUMENTS.get(name, 1):
        raise PlanError(f"{name} takes {_ARGUMENTS.get(name, 1)} arguments")
    if any(v.untyped for v in values):
        raise PlanError("an aggregate of NULL says nothing")
    function = STATISTICS[name]
    expressions = tuple(v.expression for v in _arguments(name, function, values, columns))
    once = name == "approx_count_distinct" or (
        distinct and plan_aggregate(function).may_be_distinct and function != "min"
    )
    return AggregateColumn("", function, expressions, once), once


def _within(
    name: str,
    values: list[Typed],
    key: exp.Ordered,
    bind: Callable[[exp.Expr], Typed],
) -> list[Typed]:
    """The arguments with the key of WITHIN GROUP among them."""
    if name not in _WITHIN:
        raise PlanError(f"{name} takes no WITHIN GROUP")
    value = bind(key.this)
    falling = bool(key.args.get("desc"))
    if STATISTICS[name] == "join_texts":
        if falling or value.expression != values[0].expression:
            raise PlanError(
                f"{name} is in order of its own values here", hint="order by the same value"
            )
        return values
    if name == "mode":
        if falling:
            raise PlanError("mode gives the least of several here")
        return [value]
    if falling:
        if name == "percentile_disc":
            raise PlanError("percentile_disc is in rising order here")
        share = constant(1 - _share(values[0]), DOUBLE)
        return [value, share]
    return [value, *values]


def _share(value: Typed) -> float:
    literal = value.literal
    if literal is None or literal.text is None or not is_numeric(value.type):
        raise PlanError("a percentile is written as a number", hint="for example 0.5")
    return float(Decimal(literal.text)) if value.type != DOUBLE else float(literal.text)


def _most(name: str, value: Typed) -> Typed:
    """How many values at most: a number as it is written."""
    given = value.literal
    if given is None or given.text is None or not given.text.isdecimal():
        raise PlanError(
            f"{name} takes a number of values at most as it is written", hint="for example 100"
        )
    return constant(int(given.text), INT32)


def _arguments(name: str, function: str, values: Values, columns: Columns) -> list[Typed]:
    value, rest = values[0], list(values[1:])
    match function:
        case "percentile" | "percentile_disc":
            share = 0.5 if name == "median" else _share(rest[0]) if rest else None
            limit = 2 if name.endswith(("approx", "percentile")) and name != "percentile" else 1
            if share is None or len(rest) > limit:
                raise PlanError(f"{name} takes a value and a number from 0 to 1")
            doubles = function == "percentile" or name == "percentile_disc"
            inner = convert(value, DOUBLE, columns) if doubles else value
            return [inner, constant(share, DOUBLE)]
        case "join_texts":
            mark = text_literal(rest[0], "the text between", ",") if rest else ""
            return [as_text(value, columns), text(mark), *(_most(name, v) for v in rest[1:])]
        case "collect_list" | "collect_set":
            return [value, *(_most(name, v) for v in rest)]
        case "covar_samp" | "covar_pop" | "corr" | "skewness" | "kurtosis":
            return [convert(v, DOUBLE, columns) for v in values]
        case "mode" | "min" | "count":
            return [value]  # what may follow says how exact, or which of several
        case _:
            return list(values)
