"""Joins that look something up for each row of the left side: marks and single rows.

Where a plan's own keys say that nothing can match twice, a look-up is a plain left join. Else it
is written as a subquery, which DuckDB turns into a join that checks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from mc2.engine.sql_expressions import ExpressionWriter
from mc2.formats.schema import Schema
from mc2.plan.expressions import Call, ColumnRef, Expression, Literal, columns_of
from mc2.plan.plan import Node
from mc2.plan.relations import (
    Aggregate,
    Distinct,
    Filter,
    Join,
    Limit,
    Mark,
    NamedExpression,
    Project,
    Sort,
)
from mc2.plan.typing import type_of
from mc2.plan.windows import Window

WORDS: Final[Mapping[str, str]] = {
    "inner": "INNER JOIN",
    "left": "LEFT JOIN",
    "right": "RIGHT JOIN",
    "full": "FULL JOIN",
    "semi": "SEMI JOIN",
    "anti": "ANTI JOIN",
    "cross": "CROSS JOIN",
}
SEVERAL: Final = "More than one row returned by a subquery"
"""How DuckDB says that a subquery gave several rows where one may stand."""

_GUARD: Final = "hash(l.c0) % 2 < 2 AND hash(r.c0) % 2 < 2"


def select(columns: str, origin: str, *rest: str) -> str:
    """A SELECT over our own names."""
    return " ".join(filter(None, ("SELECT", columns, "FROM", origin, *rest)))


Side = tuple[str, Schema]
"""The SQL name of a relation, and its columns."""


def unique_columns(nodes: Sequence[Node], index: int) -> frozenset[str] | None:
    """Columns of a node of which no two rows have the same values; none of them: one row at most.

    None if the plan does not make sure of any.
    """
    operation, schema = nodes[index].operation, nodes[index].schema
    found: frozenset[str] | None = None
    match operation:
        case Aggregate(keys=keys):
            found = frozenset(keys)
        case Distinct() if schema is not None:
            found = frozenset(schema.names)
        case Limit(count=0 | 1):
            found = frozenset()
        case Project(source, columns):
            found = _renamed(unique_columns(nodes, source), columns)
        case Filter() | Sort() | Limit() | Window() | Mark() | Join(how="single" | "semi" | "anti"):
            found = unique_columns(nodes, operation.sources[0])
    return found


def _renamed(
    unique: frozenset[str] | None, columns: Sequence[NamedExpression]
) -> frozenset[str] | None:
    new = {c.expression.name: c.name for c in columns if isinstance(c.expression, ColumnRef)}
    if unique is None or not unique <= set(new):
        return None
    return frozenset(new[n] for n in unique)


def single_sql(
    join: Join, left: Side, right: Side, writer: ExpressionWriter, unique: frozenset[str] | None
) -> str:
    """A join that fails where a row of the left side matches several of the right side.

    `unique` are columns of the right side of which no two rows have the same values, if any are.
    """
    first, second = len(left[1]), len(right[1])
    shown = ", ".join(f"l.c{i} AS c{i}" for i in range(first))
    on = "TRUE" if join.on is None else writer.condition(join.on, _GUARD).sql
    if unique is not None and unique <= _matched(join.on, right[1]):
        added = ", ".join(f"r.c{i} AS c{first + i}" for i in range(second))
        return select(f"{shown}, {added}", f"{left[0]} AS l LEFT JOIN {right[0]} AS r ON {on}")
    fields = ", ".join(f"'c{i}': r.c{i}" for i in range(second))
    kept = ", ".join(f"c{i}" for i in range(first))
    added = ", ".join(f"struct_extract(found, 'c{i}') AS c{first + i}" for i in range(second))
    looked = select(f"{{{fields}}} AS row", f"{right[0]} AS r", f"WHERE {on}")
    if join.on is None or not columns_of(join.on) & set(left[1].names):
        looked = _only(looked)
    inner = select(f"{shown}, ({looked}) AS found", f"{left[0]} AS l")
    return select(f"{kept}, {added}", f"({inner})")


def _only(rows: str) -> str:
    """The one struct that a query gives, whatever row of the other side asks for it.

    DuckDB takes the first of such a subquery's rows by an aggregate which, for structs, turns
    -0.0 into 0.0. A list keeps all bits.
    """
    several = f"error('{SEVERAL}')"
    one = f"CASE WHEN len(list(row)) > 1 THEN {several} ELSE list(row)[1] END"
    return select(one, f"({rows} LIMIT 2)")


def _matched(on: Expression | None, right: Schema) -> set[str]:
    """Columns of the right side that equal something of the left side where `on` is true."""
    found = set()
    names = set(right.names)
    for part in _conjuncts(on):
        if isinstance(part, Call) and part.function in {"eq", "same"}:
            for one, other in (part.arguments, part.arguments[::-1]):
                if isinstance(one, ColumnRef) and not columns_of(other) & names:
                    found.add(one.name)
    return found & names


def _conjuncts(on: Expression | None) -> tuple[Expression, ...]:
    if on is None:
        return ()
    if isinstance(on, Call) and on.function == "and":
        return on.arguments
    return (on,)


def mark_sql(mark: Mark, left: Side, right: Side, writer: ExpressionWriter) -> str:
    """Whether each row of the left side matches: true, NULL or false."""
    shown = ", ".join(f"l.c{i} AS c{i}" for i in range(len(left[1])))
    text = _match(mark.on, left[1], right, writer)
    return select(f"{shown}, {text} AS c{len(left[1])}", f"{left[0]} AS l")


def _match(on: Expression, left: Schema, right: Side, writer: ExpressionWriter) -> str:
    columns = {**left.by_name(), **right[1].by_name()}
    nullable = [p for p in _conjuncts(on) if type_of(p, columns).nullable]
    if not nullable:
        return _exists(on, right, writer)
    sides = _sides(nullable[0], left, right[1]) if len(nullable) == 1 else None
    if sides is not None:
        others = [p for p in _conjuncts(on) if p not in nullable]
        where = _where(_all(others), writer) if others else ""
        rows = select(writer.term(sides[1]).sql, f"{right[0]} AS r", where)
        return f"({writer.term(sides[0]).sql} IN ({rows}))"
    sometimes = _exists(Call("is_null", (on,)), right, writer)
    true = _exists(on, right, writer)
    return f"(CASE WHEN {true} THEN TRUE WHEN {sometimes} THEN NULL ELSE FALSE END)"


def _exists(on: Expression, right: Side, writer: ExpressionWriter) -> str:
    return f"EXISTS ({select('1', f'{right[0]} AS r', _where(on, writer))})"


def _where(on: Expression, writer: ExpressionWriter) -> str:
    """WHERE, which takes NULL for false by itself: an equation in `coalesce` would find no hash."""
    parts = tuple(_without_default(p) for p in _conjuncts(on))
    return f"WHERE {writer.condition(_all(parts), _GUARD).sql}"


def _without_default(condition: Expression) -> Expression:
    match condition:
        case Call("coalesce", (value, Literal(text="false"))):
            return value
        case _:
            return condition


def _all(parts: Sequence[Expression]) -> Expression:
    return parts[0] if len(parts) == 1 else Call("and", tuple(parts))


def _sides(part: Expression, left: Schema, right: Schema) -> tuple[Expression, Expression] | None:
    """The operands of an equation between the two sides, that of the left side first."""
    if not isinstance(part, Call) or part.function != "eq":
        return None
    for one, other in (part.arguments, part.arguments[::-1]):
        if columns_of(one) <= set(left.names) and columns_of(other) <= set(right.names):
            return one, other
    return None
