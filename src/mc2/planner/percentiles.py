"""Percentiles for several shares at once: a list of the aggregates of each share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.expressions import Call, Case, Expression, When, literal
from mc2.plan.relations import AggregateColumn
from mc2.plan.types import list_of
from mc2.planner.scalar import Scalars
from mc2.planner.statistics import statistic
from mc2.planner.typed import Typed

_NAMES: Final = frozenset(
    {"percentile", "percentile_cont", "percentile_disc", "percentile_approx", "approx_percentile"}
)


def percentiles(
    rows: Scalars,
    node: exp.Expr,
    key: exp.Ordered | None,
    condition: Expression | None,
    total: Callable[[AggregateColumn], Typed],
) -> Expression | None:
    """`percentile(x, array(0.25, 0.5))` over what `total` gives; NULL where there are no values.

    None for all other calls. Raises: PlanError.
    """
    name, arguments = str(node.this).lower(), list(node.expressions)
    place = 0 if key is not None else 1
    if name not in _NAMES or not place < len(arguments) or not _is_array(arguments[place]):
        return None
    shares = arguments[place].expressions
    if not shares:
        raise PlanError(f"{name} has no shares", hint="for example array(0.25, 0.75)")
    found = []
    for share in shares:
        given = [*arguments[:place], share, *arguments[place + 1 :]]
        column, _ = statistic(name, given, key, rows.bind, rows.columns)
        found.append(total(replace(column, where=condition)))
    listed = Call("list", tuple(f.expression for f in found))
    none = When(Call("is_null", (found[0].expression,)), literal(None, list_of(found[0].type)))
    return Case((none,), listed)


def _is_array(node: exp.Expr) -> bool:
    return isinstance(node, exp.Anonymous) and str(node.this).lower() == "array"
