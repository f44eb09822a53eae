"""The result of a query: its columns, ORDER BY, OFFSET and LIMIT."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from mc2.errors import FormatError, PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import ColumnRef, Expression, call, columns_of, literal
from mc2.plan.relations import Filter, Limit, NamedExpression, Project, Sort, SortKey
from mc2.plan.types import INT32
from mc2.plan.windows import Window, WindowColumn
from mc2.planner.levels import TOP, Level, free_name
from mc2.planner.names import same
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import Typed, all_true

_MOST: Final = (1 << 31) - 1


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
            named = called(self.where, column, items)
            if named is None:
                return rows.resolve(column)
            if column is not node:  # inside a larger value, engines differ on which one is meant
                self._check_unambiguous(column, named, rows)
            return named

        place = ordinal(node)
        if place is None:
            value = Scalars(self.where, rows.columns, resolve, rows.aggregate, rows.special).bind(
                node
            )
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

    def cut(self, query: exp.Query, node: int, keys: Sequence[SortKey], level: Level = TOP) -> int:
        """Add ORDER BY, OFFSET and LIMIT. Raises: PlanError.

        Without ORDER BY the first rows are those that the plan's page defines: rows have the
        order of their dataset, or that of all their columns.
        """
        limit, offset = query.args.get("limit"), query.args.get("offset")
        if limit is None and offset is None:
            if level.names:
                return node  # rows of a domain have no order among one another
            return self.builder.add(Sort(node, tuple(keys))) if keys else node
        count, skipped = self._count(limit), self._count(offset) or 0
        if level.names:
            return self._cut_each(node, keys, count, skipped, level)
        if keys:
            node = self.builder.add(Sort(node, tuple(keys)))
        return self.builder.add(Limit(node, count, skipped))

    def _cut_each(
        self, node: int, keys: Sequence[SortKey], count: int | None, skipped: int, level: Level
    ) -> int:
        """The first rows of each row of the domain, by their numbers."""
        schema = self.builder.schema(node)
        name = free_name("row", {n.casefold() for n in schema.names})
        first = SortKey(ColumnRef(schema.names[-1]), descending=False, nulls_first=True)
        number = WindowColumn(name, "row_number", ())
        numbered = self.builder.add(Window(node, level.names, tuple(keys) or (first,), (number,)))
        tests: list[Expression] = []
        if skipped:
            tests.append(call("gt", ColumnRef(name), literal(min(skipped, _MOST), INT32)))
        if count is not None:
            last = literal(min(skipped + count, _MOST), INT32)
            tests.append(call("le", ColumnRef(name), last))
        if tests:
            numbered = self.builder.add(Filter(numbered, all_true(tests)))
        kept = tuple(NamedExpression(n, ColumnRef(n)) for n in schema.names)
        return self.builder.add(Project(numbered, kept))

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


def called(where: QueryText, column: exp.Column, items: Sequence[Item]) -> Typed | None:
    """The column of SELECT that a bare name means; None if none. Raises: PlanError if several."""
    named = [i.value for i in items if not column.table and same(i.name, column.name)]
    if len({v.expression for v in named}) > 1:
        raise where.error(
            column, f"SELECT has several columns {column.name!r}", "name one of them: AS other"
        )
    return named[0] if named else None


def ordinal(node: exp.Expr) -> int | None:
    """The number of a column of SELECT, as in `ORDER BY 2`; None if the node is no number."""
    if isinstance(node, exp.Literal) and not node.is_string and str(node.this).isdigit():
        return int(str(node.this)[:9])
    return None
