"""The result of a query: its columns, ORDER BY, OFFSET and LIMIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlglot import exp

from mc2.errors import FormatError, PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, Expression, columns_of
from mc2.plan.relations import Limit, NamedExpression, Project, Sort, SortKey
from mc2.planner.names import same
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import Typed


@dataclass(frozen=True, slots=True)
class Item:
    """One column of a result: its name, its value over the rows below, and its syntax."""

    name: str
    value: Typed
    node: exp.Expr


@dataclass(frozen=True, slots=True)
class Results:
    """Adds to a plan what comes last in a query."""

    where: QueryText
    builder: PlanBuilder

    def project(self, node: int, pairs: Sequence[tuple[str, Expression]], at: exp.Expr) -> int:
        """A node with these columns. Raises: PlanError at a part of the query."""
        names = self.builder.schema(node).names
        if [(name, ColumnRef(name)) for name in names] == list(pairs):
            return node  # it is that already
        try:
            columns = tuple(NamedExpression(name, value) for name, value in pairs)
            return self.builder.add(Project(node, columns))
        except (PlanError, FormatError) as error:
            raise self.where.error(at, str(error), error.hint) from None

    def order_keys(self, query: exp.Query, items: Sequence[Item], rows: Scalars) -> list[SortKey]:
        """What ORDER BY names, over the rows below the result. Raises: PlanError."""
        order = query.args.get("order")
        if order is None:
            return []
        refuse_others(self.where, order, ("expressions",), "ORDER BY")
        keys = [self._order_key(part, items, rows) for part in order.expressions]
        return [k for k in keys if columns_of(k.expression)]  # a constant orders nothing

    def _order_key(self, part: exp.Expr, items: Sequence[Item], rows: Scalars) -> SortKey:
        known = ("this", "desc", "nulls_first")
        refuse_others(self.where, part, known, "ORDER BY")
        node = part.this
        if isinstance(node, exp.Var):
            raise self.where.error(node, "ORDER BY ALL may not stand here", "name the columns")

        def resolve(column: exp.Column) -> Typed:
            named = [i.value for i in items if not column.table and same(i.name, column.name)]
            if not named:
                return rows.resolve(column)
            if column is not node:  # inside a larger value, engines differ on which one is meant
                self._check_unambiguous(column, named[0], rows)
            return named[0]

        place = ordinal(node)
        if place is None:
            value = Scalars(self.where, rows.columns, resolve, rows.aggregate).bind(node)
        elif 1 <= place <= len(items):
            value = items[place - 1].value
        else:
            hint = "name the column"
            raise self.where.error(node, f"SELECT has no column number {place}", hint)
        return SortKey(
            value.expression, bool(part.args.get("desc")), bool(part.args.get("nulls_first"))
        )

    def _check_unambiguous(self, column: exp.Column, named: Typed, rows: Scalars) -> None:
        try:
            other = rows.resolve(column)
        except PlanError:
            return
        if other.expression != named.expression:
            raise self.where.error(
                column,
                f"{column.name!r} could be the column or the result of that name",
                "give the result another name",
            )

    def cut(self, query: exp.Query, node: int, keys: Sequence[SortKey]) -> int:
        """Add ORDER BY, OFFSET and LIMIT. Raises: PlanError."""
        limit, offset = query.args.get("limit"), query.args.get("offset")
        if keys:
            node = self.builder.add(Sort(node, tuple(keys)))
        if limit is None and offset is None:
            return node
        if query.args.get("order") is None:
            raise self.where.error(
                limit or offset,
                "LIMIT without ORDER BY leaves to chance which rows remain",
                "add ORDER BY",
            )
        return self.builder.add(Limit(node, self._count(limit), self._count(offset) or 0))

    def _count(self, clause: exp.Expr | None) -> int | None:
        if clause is None:
            return None
        number = clause.args.get("count") if isinstance(clause, exp.Fetch) else clause.expression
        if isinstance(number, exp.Var) and number.name.upper() == "ALL":
            return None
        if isinstance(clause, exp.Fetch):
            raise self.where.error(clause, "FETCH may not stand here", "write LIMIT")
        if not isinstance(number, exp.Literal) or not str(number.this).isdigit():
            hint = "put the number into the query with an f-string of the script"
            raise self.where.error(clause, "LIMIT and OFFSET take a whole number", hint)
        if len(str(number.this)) > 12:
            raise self.where.error(clause, "LIMIT and OFFSET go up to 999999999999")
        return int(str(number.this))


def ordinal(node: exp.Expr) -> int | None:
    """The number of a column of SELECT, as in `ORDER BY 2`; None if the node is no number."""
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return int(str(node.this)[:9])
    return None
