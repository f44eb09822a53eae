"""VALUES: rows that stand in the query itself."""

from __future__ import annotations

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Literal
from mc2.plan.relations import Values
from mc2.planner.aggregate_calls import refuse_aggregates
from mc2.planner.names import Scope
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import Typed, convert, unify


def plan_values(node: exp.Values, where: QueryText, builder: PlanBuilder) -> int:
    """Add the rows of VALUES, with columns col1, col2, … as in Spark. Raises: PlanError."""
    refuse_others(where, node, ("expressions", "alias"), "VALUES")
    scope = Scope(where, (), {})
    scalars = Scalars(where, {}, scope.resolve, refuse_aggregates(where, "VALUES"))
    rows = [
        [scalars.bind(i) for i in (r.expressions if isinstance(r, exp.Tuple) else [r.unnest()])]
        for r in node.expressions
    ]
    if any(len(r) != len(rows[0]) for r in rows):
        raise where.error(node, "the rows of VALUES have not equally many columns")
    columns = [_column(node, where, list(items)) for items in zip(*rows, strict=True)]
    names = tuple(f"col{i}" for i in range(1, len(columns) + 1))
    return builder.add(Values(names, tuple(zip(*columns, strict=True))))


def _column(node: exp.Values, where: QueryText, items: list[Typed]) -> list[Literal]:
    try:
        kind = unify([i for i in items if not i.untyped] or items, {})[0].type
        values = [convert(i, kind, {}) for i in items]
    except PlanError as error:
        raise where.error(node, str(error), error.hint) from None
    found = [v.literal for v in values if v.literal is not None]
    if len(found) != len(items):
        raise where.error(node, "VALUES holds constants only", "compute in a SELECT over them")
    return found
