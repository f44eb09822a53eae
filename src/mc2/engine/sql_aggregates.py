"""Aggregate functions over one column of already evaluated arguments (`a0`, `a1`, …).

Rows that an aggregate's condition leaves out have NULL there, which every aggregate ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeAlias

from mc2.engine.routines import FLOAT_AGGREGATES, RANGE
from mc2.engine.routines_statistics import OF_ONE, OF_PAIRS, mode, percentile
from mc2.engine.routines_sums import TOTAL, counted
from mc2.engine.sql_decimals import combine
from mc2.engine.sql_nested import extreme, order_key, positive_zero, sorted_list
from mc2.engine.sql_terms import Scribe, Term, cast_to, raising
from mc2.engine.sql_types import sql_string
from mc2.formats.schema import DataType
from mc2.formats.schema import decimal as decimal_of
from mc2.plan.types import DOUBLE, TYPE_CLASSES, has_parts, is_integer, list_of, sum_type


@dataclass(frozen=True, slots=True)
class Operand:
    """The column that holds an aggregate's argument. `count_star` has a column of ones.

    `second` is the second argument: a column, or a literal. `over` is the window of the rows, if
    they are no group. `most` is how many values a list has at most, if the plan says it.
    """

    sql: str
    type: DataType
    distinct: bool
    second: Term | None = None
    over: str = ""
    most: int | None = None

    @property
    def values(self) -> str:
        """The column as it stands inside an aggregate's brackets."""
        return f"DISTINCT {self.sql}" if self.distinct else self.sql


_COUNT: Final = decimal_of(19, 0)

Print: TypeAlias = Callable[[Scribe, Operand, DataType], str]


def aggregate(scribe: Scribe, name: str, operand: Operand, result: DataType) -> str:
    """The SQL of an aggregate that `mc2.plan.infer` has typed."""
    return _PRINTERS[name](scribe, operand, result)


def _count(_scribe: Scribe, operand: Operand, _result: DataType) -> str:
    return f"count({operand.values})"


def _extreme(name: str) -> Print:
    def write(_scribe: Scribe, operand: Operand, result: DataType) -> str:
        return extreme(name, operand.sql, result)

    return write


def _truth(name: str) -> Print:
    return lambda _scribe, operand, _result: f"{name}({operand.sql}){operand.over}"


def _float(name: str) -> Print:
    def write(scribe: Scribe, operand: Operand, _result: DataType) -> str:
        distinct = "DISTINCT " if operand.distinct else ""
        values = f"{distinct}{cast_to(operand.sql, DOUBLE)}"
        listed = f"list({values}) FILTER (WHERE {operand.sql} IS NOT NULL)"
        return scribe.call(FLOAT_AGGREGATES[name], listed)

    return write


def _total(scribe: Scribe, operand: Operand) -> str:
    """The exact sum of floats. What can be counted in units is; the rest is listed."""
    value = cast_to(operand.sql, DOUBLE)
    units = counted(value)
    rest = f"list({value}) FILTER (WHERE {operand.sql} IS NOT NULL AND {units} IS NULL)"
    return scribe.call(TOTAL, rest, f"CAST(sum({units}) AS VARCHAR)")


def _sum(scribe: Scribe, operand: Operand, result: DataType) -> str:
    if operand.type.name in TYPE_CLASSES["fraction"]:
        if operand.distinct:
            return _float("sum")(scribe, operand, result)
        return _total(scribe, operand)
    return cast_to(f"sum({operand.values})", result)


def _avg(scribe: Scribe, operand: Operand, result: DataType) -> str:
    if operand.type.name in TYPE_CLASSES["fraction"]:
        if operand.distinct:
            return _float("avg")(scribe, operand, result)
        return f"({_total(scribe, operand)} / nullif(count({operand.sql}), 0))"
    total = f"sum({operand.values})"
    count = f"count({operand.values})"
    if operand.type.name in {"int8", "int16", "int32"}:  # the sum of 2^32 of them is an int64
        return f"(CAST(CAST({total} AS BIGINT) AS DOUBLE) / nullif({count}, 0))"
    if is_integer(operand.type):
        # By way of text: DuckDB rounds large negative HUGEINTs twice on the way to a double.
        return f"(CAST(CAST({total} AS VARCHAR) AS DOUBLE) / {count})"
    kind = sum_type(operand.type)
    summed = Term(cast_to(total, kind), kind, nullable=True)
    counted = Term(cast_to(count, _COUNT), _COUNT, nullable=False)
    return combine(scribe, "divide", summed, counted, result)


def _second(operand: Operand) -> Term:
    if operand.second is None:
        raise RuntimeError("typing gives this aggregate two arguments")
    return operand.second


def _listed(operand: Operand, values: str) -> str:
    """A list of the values that are not NULL; NULL if there are none."""
    distinct = "DISTINCT " if operand.distinct else ""
    return f"list({distinct}{values}) FILTER (WHERE {operand.sql} IS NOT NULL){operand.over}"


def _statistic(name: str) -> Print:
    def write(scribe: Scribe, operand: Operand, _result: DataType) -> str:
        return scribe.call(OF_ONE[name], _listed(operand, cast_to(operand.sql, DOUBLE)))

    return write


def _paired(name: str) -> Print:
    def write(scribe: Scribe, operand: Operand, _result: DataType) -> str:
        y = _second(operand).sql
        pairs = f"list(struct_pack(x := {operand.sql}, y := {y}))"
        known = f"{operand.sql} IS NOT NULL AND {y} IS NOT NULL"
        return scribe.call(OF_PAIRS[name], f"{pairs} FILTER (WHERE {known}){operand.over}")

    return write


def _mode(scribe: Scribe, operand: Operand, result: DataType) -> str:
    values = positive_zero(operand.sql, operand.type)
    return scribe.call(mode(result), _listed(operand, values))


def _percentile(scribe: Scribe, operand: Operand, _result: DataType) -> str:
    share = float(_second(operand).literal or "0")
    return scribe.call(percentile(share), _listed(operand, operand.sql))


def _discrete(scribe: Scribe, operand: Operand, result: DataType) -> str:
    share = _second(operand).literal or "0"
    listed = Term(_listed(operand, operand.sql), list_of(result), nullable=True)

    def body(values: str) -> str:
        place = f"ceil(CAST('{share}' AS DOUBLE) * len({values}))"
        ordered = sorted_list(values, result)
        return f"({ordered})[greatest(CAST({place} AS BIGINT), 1)]"

    return positive_zero(scribe.let(listed, body), result)


def _by(name: str) -> Print:
    def write(_scribe: Scribe, operand: Operand, result: DataType) -> str:
        by = _second(operand)
        value, key = (positive_zero(t.sql, t.type) for t in (operand, by))
        known = f"FILTER (WHERE {by.sql} IS NOT NULL){operand.over}"
        if not has_parts(by.type) and not has_parts(result):
            found = f"{name}(struct_pack(y := {key}, x := {value})) {known}"
            return cast_to(f"struct_extract({found}, 'x')", result)
        order = f"struct_pack(y := {order_key(key, by.type)}, x := {order_key(value, result)})"
        found = f"arg_{name}(struct_pack(x := {value}), {order}) {known}"
        return f"struct_extract({found}, 'x')"

    return write


def _collected(*, distinct: bool) -> Print:
    def write(_scribe: Scribe, operand: Operand, result: DataType) -> str:
        one = replace(operand, distinct=operand.distinct or distinct)
        listed = _listed(one, positive_zero(operand.sql, operand.type))
        found = f"coalesce({sorted_list(listed, operand.type)}, {cast_to('[]', result)})"
        return _at_most(one, found, result)

    return write


def _at_most(operand: Operand, found: str, result: DataType) -> str:
    """What is found of no more values than the plan allows; more fail the job."""
    if operand.most is None:
        return found
    distinct = "DISTINCT " if operand.distinct else ""
    many = f"count({distinct}{positive_zero(operand.sql, operand.type)}){operand.over}"
    return f"CASE WHEN {many} > {operand.most} THEN {raising(RANGE, result)} ELSE {found} END"


def _joined(_scribe: Scribe, operand: Operand, result: DataType) -> str:
    mark = sql_string(_second(operand).literal or "")
    found = f"array_to_string(list_sort({_listed(operand, operand.sql)}), {mark})"
    return _at_most(operand, found, result)


_PRINTERS: Final[Mapping[str, Print]] = {
    "count_star": _count,
    "count": _count,
    "sum": _sum,
    "avg": _avg,
    "min": _extreme("min"),
    "max": _extreme("max"),
    "stddev_samp": _float("stddev_samp"),
    "stddev_pop": _float("stddev_pop"),
    "var_samp": _float("var_samp"),
    "var_pop": _float("var_pop"),
    "bool_and": _extreme("bool_and"),
    "bool_or": _extreme("bool_or"),
    **{name: _paired(name) for name in OF_PAIRS},
    **{name: _statistic(name) for name in OF_ONE},
    "mode": _mode,
    "percentile": _percentile,
    "percentile_disc": _discrete,
    "max_by": _by("max"),
    "min_by": _by("min"),
    "collect_list": _collected(distinct=False),
    "collect_set": _collected(distinct=True),
    "join_texts": _joined,
    **{f"bits_{name}_of": _truth(f"bit_{name}") for name in ("and", "or", "xor")},
}
