"""UNION, INTERSECT and EXCEPT: queries as sets of rows, in common types.

INTERSECT and EXCEPT are joins on all columns, with NULL equal to NULL; with ALL, equal rows are
numbered first, so that the first of one side meets the first of the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import takewhile
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import DataType
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, ColumnRef, Expression
from mc2.plan.relations import Distinct, Join, NamedExpression, Project, SortKey, Union
from mc2.plan.types import common_type
from mc2.plan.windows import Window, WindowColumn
from mc2.planner.aggregate_calls import refuse_aggregates
from mc2.planner.from_clause import explode_name
from mc2.planner.levels import Level, free_name
from mc2.planner.names import Scope, Source, Visible, as_written
from mc2.planner.results import Item, Results
from mc2.planner.scalar import Scalars
from mc2.planner.select_list import UNTYPED, is_star
from mc2.planner.sql_text import refuse_others
from mc2.planner.typed import NULL, Typed, all_true, convert, typed

_PARTS: Final = ("with_", "this", "expression", "distinct", "order", "limit", "offset")
_WORDS: Final = {exp.Union: "UNION", exp.Intersect: "INTERSECT", exp.Except: "EXCEPT"}


def plan_set_operation(
    query: exp.SetOperation, results: Results, plan: Callable[[exp.Query], int], level: Level
) -> int:
    """Add a set operation, whose branches `plan` plans. Raises: PlanError."""
    where, builder = results.where, results.builder
    queries = _branches(query, results)
    untyped = [_untyped(q) for q in queries]
    typeless = frozenset[int]().union(*untyped) - frozenset.intersection(*untyped)
    for branch in queries:
        _leave_untyped(branch, typeless)
    shift = len(level.names)
    left_open = [frozenset(p + shift for p in places & typeless) for places in untyped]
    branches = _aligned(query, [plan(q) for q in queries], left_open, results)
    if isinstance(query, exp.Union):
        node = builder.add(Union(branches))
        node = builder.add(Distinct(node)) if query.args.get("distinct") else node
    else:
        how = "semi" if isinstance(query, exp.Intersect) else "anti"
        distinct = bool(query.args.get("distinct"))
        node = _matched(builder, branches[0], branches[1], how, distinct=distinct)
    schema = builder.schema(node)
    columns = dict(schema.by_name())
    own = [n for n in schema.names if n not in level.names]
    visible = tuple(
        Visible(said, ColumnRef(n)) for said, n in zip(as_written(own), own, strict=True)
    )
    scope = Scope(where, (Source("union", None, visible),), columns)
    rows = Scalars(where, columns, scope.resolve, refuse_aggregates(where, "ORDER BY"))
    items = [Item(v.name, typed(v.expression, columns), query) for v in visible]
    return results.cut(query, node, results.order_keys(query, items, rows), level)


def _branches(query: exp.SetOperation, results: Results) -> list[exp.Query]:
    """The queries of `a UNION ALL b UNION ALL c`, as one list where that means the same."""
    refuse_others(results.where, query, _PARTS, _WORDS[type(query)])
    left = query.this
    if not isinstance(query, exp.Union) or not isinstance(left, exp.Union):
        return [left, query.expression]
    if any(left.args.get(part) for part in ("with_", "order", "limit", "offset")):
        return [left, query.expression]
    if left.args.get("distinct") and not query.args.get("distinct"):
        return [left, query.expression]
    return [*_branches(left, results), query.expression]


def _matched(builder: PlanBuilder, left: int, right: int, how: str, *, distinct: bool) -> int:
    """The rows of the left side that the right side has, or has not."""
    names = builder.schema(left).names
    if distinct:
        left = builder.add(Distinct(left))
    else:
        left, right = _numbered(builder, left), _numbered(builder, right)
    mine = builder.schema(left).names
    taken = {n.casefold() for n in mine}
    renamed, on = [], []
    for own, other in zip(mine, builder.schema(right).names, strict=True):
        name = free_name("other", taken)
        taken.add(name)
        renamed.append(NamedExpression(name, ColumnRef(other)))
        on.append(Call("same", (ColumnRef(own), ColumnRef(name))))
    right = builder.add(Project(right, tuple(renamed)))
    node = builder.add(Join(left, right, how, all_true(on)))
    if distinct:
        return node
    return builder.add(Project(node, tuple(NamedExpression(n, ColumnRef(n)) for n in names)))


def _numbered(builder: PlanBuilder, node: int) -> int:
    """The rows with the number of each among its equals."""
    names = builder.schema(node).names
    name = free_name("copy", {n.casefold() for n in names})
    key = SortKey(ColumnRef(names[0]), descending=False, nulls_first=True)
    return builder.add(Window(node, names, (key,), (WindowColumn(name, "row_number", ()),)))


def _untyped(query: exp.Expr) -> frozenset[int]:
    """The places in which a query gives NULL and nothing says of which type."""
    match query:
        case exp.Subquery():
            return _untyped(query.this)
        case exp.SetOperation():
            return _untyped(query.this) & _untyped(query.expression)
        case exp.Select():
            plain = takewhile(lambda e: not is_star(e) and not explode_name(e), query.expressions)
            return frozenset(n for n, e in enumerate(plain) if isinstance(e.unalias(), exp.Null))
        case _:
            return frozenset()


def _leave_untyped(query: exp.Expr, places: frozenset[int]) -> None:
    """Mark the bare NULLs in some places, so that they may stand there."""
    match query:
        case exp.Subquery():
            _leave_untyped(query.this, places)
        case exp.SetOperation():
            _leave_untyped(query.this, places)
            _leave_untyped(query.expression, places)
        case exp.Select():
            for place in _untyped(query) & places:
                query.expressions[place].unalias().meta[UNTYPED] = True


def _aligned(
    query: exp.SetOperation,
    branches: Sequence[int],
    untyped: Sequence[frozenset[int]],
    results: Results,
) -> tuple[int, ...]:
    """The branches with the same types in each place; `untyped` are those with NULL alone."""
    schemas = [results.builder.schema(b) for b in branches]
    word = _WORDS[type(query)]
    for schema in schemas[1:]:
        if len(schema) != len(schemas[0]):
            raise results.where.error(
                query,
                f"{word} of {len(schemas[0])} and {len(schema)} columns",
                "both queries must have equally many",
            )
    rows: list[list[Typed]] = []
    for place in range(len(schemas[0])):
        values = [typed(ColumnRef(s.names[place]), s.by_name()) for s in schemas]
        bare = [place in places for places in untyped]
        known = [v for v, is_bare in zip(values, bare, strict=True) if not is_bare]
        kind = _common(query, known, schemas[0].names[place], results)
        values = [NULL if is_bare else v for v, is_bare in zip(values, bare, strict=True)]
        rows.append([convert(v, kind, s.by_name()) for v, s in zip(values, schemas, strict=True)])
    found = []
    for number, branch in enumerate(branches):
        names = schemas[number].names
        pairs: list[tuple[str, Expression]] = [
            (n, column[number].expression) for n, column in zip(names, rows, strict=True)
        ]
        found.append(results.project(branch, pairs, query))
    return tuple(found)


def _common(
    query: exp.SetOperation, values: Sequence[Typed], name: str, results: Results
) -> DataType:
    kind = values[0].type
    for value in values[1:]:
        try:
            kind = common_type(kind, value.type)
        except PlanError as error:
            raise results.where.error(
                query, f"in the column {name!r} of {_WORDS[type(query)]}: {error}", error.hint
            ) from None
    return kind
