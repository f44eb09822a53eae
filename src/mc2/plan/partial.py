"""Aggregates in two steps: each task sums up its own rows, another puts the sums together.

Only where both steps give what one would, bit for bit: counts, extremes, truth, exact sums. Sums
of floats are exact too: a task hands on a few doubles whose exact sum is that of its rows. A sum of
one task's decimals that has more than 38 digits is an error, as that of all rows is. Spread and
distinct values need all rows of a group in one place. Spec: docs/spec/task.md, "Partial sums".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mc2.formats.schema import DECIMAL_DIGITS, Column, DataType, Schema, decimal
from mc2.plan.aggregates import aggregate
from mc2.plan.relations import Aggregate, AggregateColumn
from mc2.plan.types import DOUBLE, INT64, TYPE_CLASSES, is_integer, sum_type
from mc2.plan.typing import type_of

WIDE: Final = decimal(DECIMAL_DIGITS, 0)
"""Holds the sum of any 2^40 integers."""

ADDENDS: Final = DataType("list", element=DOUBLE)
"""Doubles whose exact sum is meant; NULL where no row was."""

_COUNTS: Final = frozenset({"count", "count_star"})
_SAME_TYPE: Final = frozenset({"min", "max", "bool_and", "bool_or"})
_SUMS: Final = frozenset({"sum", "avg"})


def splittable(operation: Aggregate) -> bool:
    """Whether every aggregate can be computed in two steps."""
    return all(_splittable(a) for a in operation.aggregates)


def _splittable(column: AggregateColumn) -> bool:
    if column.distinct:
        return False
    if column.function in _COUNTS or column.function in _SAME_TYPE:
        return True
    return column.function in _SUMS


def partial_columns(column: AggregateColumn, columns: Mapping[str, Column]) -> tuple[DataType, ...]:
    """The types of what a task hands on for one aggregate: a sum has one column, a mean two."""
    if column.function in _COUNTS:
        return (INT64,)
    kind = type_of(column.arguments[0], columns).type
    if column.function in _SAME_TYPE:
        return (kind,)
    if is_integer(kind):
        total = WIDE
    else:
        total = ADDENDS if kind.name in TYPE_CLASSES["fraction"] else sum_type(kind)
    return (total,) if column.function == "sum" else (total, INT64)


def partial_schema(operation: Aggregate, source: Schema) -> Schema:
    """The columns of a partial result: keys `k0`, `k1`, …, then `p0`, `p1`, … in order."""
    columns = source.by_name()
    keys = tuple(
        Column(f"k{i}", columns[name].type, nullable=columns[name].nullable)
        for i, name in enumerate(operation.keys)
    )
    kinds = [kind for a in operation.aggregates for kind in partial_columns(a, columns)]
    sums = tuple(Column(f"p{i}", kind, nullable=True) for i, kind in enumerate(kinds))
    return Schema(keys + sums)


def result_schema(operation: Aggregate, source: Schema) -> Schema:
    """The columns of the finished result, as `mc2.plan.infer` has them."""
    columns = source.by_name()
    found = [columns[name] for name in operation.keys]
    for column in operation.aggregates:
        arguments = tuple(type_of(a, columns) for a in column.arguments)
        may_be_empty = not operation.keys or column.where is not None
        kind, nullable = aggregate(column.function).type(arguments, may_be_empty=may_be_empty)
        found.append(Column(column.name, kind, nullable))
    return Schema(tuple(found))
