"""UNION ALL and UNION: the queries one below the other, in common types."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.expressions import ColumnRef
from mc2.plan.relations import Distinct, Union
from mc2.plan.types import common_type
from mc2.planner.grouping import refuse_aggregates
from mc2.planner.names import Scope, Source, Visible
from mc2.planner.results import Item, Results
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import refuse_others
from mc2.planner.typed import Typed, convert, typed

_PARTS = ("with_", "this", "expression", "distinct", "order", "limit", "offset")


def plan_union(union: exp.Union, results: Results, query: Callable[[exp.Query], int]) -> int:
    """Add a union, whose branches `query` plans. Raises: PlanError."""
    where, builder = results.where, results.builder
    nodes = [query(branch) for branch in _branches(union, results)]
    node = builder.add(Union(_aligned(union, nodes, results)))
    if union.args.get("distinct"):
        node = builder.add(Distinct(node))
    schema = builder.schema(node)
    columns = schema.by_name()
    visible = tuple(Visible(n, ColumnRef(n)) for n in schema.names)
    scope = Scope(where, (Source("union", None, visible),), columns)
    rows = Scalars(where, columns, scope.resolve, refuse_aggregates(where, "ORDER BY"))
    items = [Item(v.name, typed(v.expression, columns), union) for v in visible]
    return results.cut(union, node, results.order_keys(union, items, rows))


def _branches(union: exp.Union, results: Results) -> list[exp.Query]:
    """The queries of `a UNION ALL b UNION ALL c`, as one list where that means the same."""
    refuse_others(results.where, union, _PARTS, "UNION")
    left = union.this
    if not isinstance(left, exp.Union) or any(
        left.args.get(part) for part in ("with_", "order", "limit", "offset")
    ):
        return [left, union.expression]
    if left.args.get("distinct") and not union.args.get("distinct"):
        return [left, union.expression]
    return [*_branches(left, results), union.expression]


def _aligned(union: exp.Union, branches: Sequence[int], results: Results) -> tuple[int, ...]:
    """The branches with the same types in each place."""
    schemas = [results.builder.schema(b) for b in branches]
    for schema in schemas[1:]:
        if len(schema) != len(schemas[0]):
            raise results.where.error(
                union,
                f"UNION of {len(schemas[0])} and {len(schema)} columns",
                "both queries must have equally many",
            )
    rows: list[list[Typed]] = []
    for place in range(len(schemas[0])):
        values = [typed(ColumnRef(s.names[place]), s.by_name()) for s in schemas]
        kind = _common(union, values, schemas[0].names[place], results)
        rows.append([convert(v, kind, s.by_name()) for v, s in zip(values, schemas, strict=True)])
    found = []
    for number, branch in enumerate(branches):
        names = schemas[number].names
        pairs = [(n, column[number].expression) for n, column in zip(names, rows, strict=True)]
        found.append(results.project(branch, pairs, union))
    return tuple(found)


def _common(union: exp.Union, values: Sequence[Typed], name: str, results: Results) -> DataType:
    kind = values[0].type
    for value in values[1:]:
        try:
            kind = common_type(kind, value.type)
        except PlanError as error:
            raise results.where.error(
                union, f"in the column {name!r} of UNION: {error}", error.hint
            ) from None
    return kind
