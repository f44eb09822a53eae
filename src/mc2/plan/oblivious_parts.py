"""Aggregates in parts: what tasks compute of their own rows, and what takes another way first.

Distinct values are sorted over the tasks, so that each stands in one place; distances from a mean
need the mean of all rows. After that both are counts and sums like any other. All parts of a node
come together group by group. Spec: docs/spec/task.md, section "Parts of aggregates".
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from mc2.formats.schema import DECIMAL_DIGITS, Schema
from mc2.plan.relations import Aggregate, AggregateColumn
from mc2.plan.types import TYPE_CLASSES
from mc2.plan.typing import type_of

SPREADS: Final = frozenset({"stddev_samp", "stddev_pop", "var_samp", "var_pop"})
_SUMS: Final = frozenset({"sum", "avg", *SPREADS})
_EXTREMES: Final = frozenset({"min", "max"})
_TWO_STEPS: Final = frozenset(
    {"count", "count_star", "sum", "avg", "bool_and", "bool_or", *_EXTREMES}
)
_MORE_DIGITS: Final = 10
"""Of a sum of any rows that a table may have."""
_STATE_WEIGHT: Final = 9
"""Rows that a state of a sum of doubles is as wide as, about."""


@dataclass(frozen=True, slots=True)
class Part:
    """Some aggregates of a node, by `kind`: `plain`, or one argument's `distinct` or `spread`."""

    kind: str
    columns: tuple[AggregateColumn, ...]

    def of(self, operation: Aggregate) -> Aggregate:
        """The part as a node of its own, over rows in which each value stands once."""
        columns = tuple(replace(c, distinct=False) for c in self.columns)
        return replace(operation, aggregates=columns)

    def values(self, operation: Aggregate) -> Aggregate:
        """A node with one aggregate, of the type of the argument: what its rows are like."""
        one = replace(self.columns[0], function="max", distinct=False, where=None)
        return replace(operation, aggregates=(one,))

    def means(self, operation: Aggregate) -> Aggregate:
        """The means from which the rows of a part have distances."""
        one = replace(self.columns[0], function="avg", distinct=False)
        return replace(operation, aggregates=(one,))


def parts_of(operation: Aggregate, source: Schema) -> tuple[Part, ...] | None:
    """The parts of an aggregate, the plain one first; None if it needs all rows of a group."""
    others = [a for a in operation.aggregates if a.distinct or a.function in SPREADS]
    plain = tuple(a for a in operation.aggregates if a not in others)
    parts = [Part("plain", plain), *_by_argument(others)]
    return tuple(parts) if all(_adds_up(p, source) for p in parts) else None


def _by_argument(columns: Iterable[AggregateColumn]) -> list[Part]:
    found: dict[str, list[AggregateColumn]] = {}
    for one in columns:
        found.setdefault(repr((one.distinct, one.arguments, one.where)), []).append(one)
    return [
        Part("distinct" if some[0].distinct else "spread", tuple(some)) for some in found.values()
    ]


def _adds_up(part: Part, source: Schema) -> bool:
    """Whether sums of tasks' sums are those of all rows, bit for bit."""
    functions = {c.function for c in part.columns}
    if part.kind == "spread":
        return functions <= SPREADS
    if not functions <= _TWO_STEPS or _wide_sums(part.columns, source):
        return False
    if part.kind == "distinct" and _are_nested(part.columns[0], source):
        return False
    # Of values that are equal and not the same, as -0 is to 0, the first one would be kept.
    return part.kind == "plain" or not (functions & _EXTREMES and real_sums(part.columns, source))


def _are_nested(column: AggregateColumn, source: Schema) -> bool:
    """Whether an argument has elements, by which no tasks sort."""
    by_name = source.by_name()
    return any(type_of(a, by_name).type.name in {"list", "struct"} for a in column.arguments)


def _wide_sums(columns: Iterable[AggregateColumn], source: Schema) -> bool:
    """Whether a task's sum may have more digits than a column: it must not fail for that."""
    by_name = source.by_name()
    kinds = [type_of(a.arguments[0], by_name).type for a in columns if a.function in _SUMS]
    return any(k.name == "decimal" and k.precision + _MORE_DIGITS > DECIMAL_DIGITS for k in kinds)


def real_sums(columns: Iterable[AggregateColumn], source: Schema) -> int:
    """How many of some aggregates are of doubles, and so wide while they are added up."""
    by_name = source.by_name()
    added = [a for a in columns if a.function in _SUMS | _EXTREMES and a.arguments]
    kinds = [type_of(a.arguments[0], by_name).type.name for a in added]
    return sum(kind in TYPE_CLASSES["fraction"] for kind in kinds)


def summed(operation: Aggregate) -> list[AggregateColumn]:
    """The aggregates that add up, of which those of doubles go on as states."""
    return [a for a in operation.aggregates if a.function in _SUMS]


def weight(operation: Aggregate, source: Schema) -> int:
    """How many rows a group of what a task has aggregated is as wide as, about."""
    return 1 + _STATE_WEIGHT * real_sums(summed(operation), source)
