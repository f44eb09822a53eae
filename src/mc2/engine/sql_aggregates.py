"""Aggregate functions over one column of already evaluated arguments (`a0`, `a1`, …).

Rows that an aggregate's condition leaves out have NULL there, which every aggregate ignores.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from mc2.engine.routines import FLOAT_AGGREGATES
from mc2.engine.sql_decimals import combine
from mc2.engine.sql_terms import Scribe, Term, cast_to, positive_zero
from mc2.formats.schema import DataType
from mc2.formats.schema import decimal as decimal_of
from mc2.plan.types import DOUBLE, TYPE_CLASSES, is_integer, sum_type


@dataclass(frozen=True, slots=True)
class Operand:
    """The column that holds an aggregate's argument. `count_star` has a column of ones."""

    sql: str
    type: DataType
    distinct: bool

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
        return positive_zero(f"{name}({operand.sql})", result)

    return write


def _truth(name: str) -> Print:
    return lambda _scribe, operand, _result: f"{name}({operand.sql})"


def _float(name: str) -> Print:
    def write(scribe: Scribe, operand: Operand, _result: DataType) -> str:
        distinct = "DISTINCT " if operand.distinct else ""
        values = f"{distinct}{cast_to(operand.sql, DOUBLE)}"
        listed = f"list({values}) FILTER (WHERE {operand.sql} IS NOT NULL)"
        return scribe.call(FLOAT_AGGREGATES[name], listed)

    return write


def _sum(scribe: Scribe, operand: Operand, result: DataType) -> str:
    if operand.type.name in TYPE_CLASSES["fraction"]:
        return _float("sum")(scribe, operand, result)
    return cast_to(f"sum({operand.values})", result)


def _avg(scribe: Scribe, operand: Operand, result: DataType) -> str:
    if operand.type.name in TYPE_CLASSES["fraction"]:
        return _float("avg")(scribe, operand, result)
    total = f"sum({operand.values})"
    count = f"count({operand.values})"
    if is_integer(operand.type):
        # By way of text: DuckDB rounds large negative HUGEINTs twice on the way to a double.
        return f"(CAST(CAST({total} AS VARCHAR) AS DOUBLE) / {count})"
    kind = sum_type(operand.type)
    summed = Term(cast_to(total, kind), kind, nullable=True)
    counted = Term(cast_to(count, _COUNT), _COUNT, nullable=False)
    return combine(scribe, "divide", summed, counted, result)


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
    "bool_and": _truth("bool_and"),
    "bool_or": _truth("bool_or"),
}
