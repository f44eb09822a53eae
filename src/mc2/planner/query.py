"""SELECT, UNION and WITH to nodes of a plan. Spec: docs/howto/write-a-script.md.

Each clause becomes its own node, in SQL's order: FROM and joins, WHERE, GROUP BY, HAVING, SELECT,
DISTINCT, ORDER BY, LIMIT. Nothing is reordered to be faster (the engine does that); the only
rewrites are those that the plan's readers gain from. What is not understood whole is refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, ColumnRef, Expression
from mc2.plan.relations import (
    Distinct,
    Filter,
    Join,
    NamedExpression,
    Project,
    SortKey,
)
from mc2.planner.from_clause import Found, FromClause, bind_from
from mc2.planner.grouping import Grouped, Grouping, has_aggregate, refuse_aggregates
from mc2.planner.names import Scope, same
from mc2.planner.results import Item, Results, ordinal
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText, parse_query, refuse_others
from mc2.planner.typed import Typed, all_true, typed, unify
from mc2.planner.unions import plan_union

_SELECT_PARTS: Final = (
    "with_", "expressions", "distinct", "from_", "joins", "where", "group", "having", "order",
    "limit", "offset",
)  # fmt: skip
_LONGEST_NAME: Final = 255


def plan_query(
    text: str,
    builder: PlanBuilder,
    datasets: Callable[[str], int],
    names: Mapping[str, int],
    *,
    given: Sequence[str] = (),
    dialect: str = "spark",
) -> int:
    """Add a query's nodes and give the place of its result.

    `datasets` gives the scan of `party.table`; `names` are earlier results that FROM may name;
    `given` are those of them that stand as `{name}`. Raises: PlanError with line and column.
    """
    tree, where = parse_query(text, given, dialect)
    for node in tree.find_all(exp.CTE):
        if node.alias in given:
            raise where.error(node, f"{node.alias!r} names a table given to this query, too")
    planner = _Planner(where, builder, datasets, dict(names))
    try:
        return planner.query(tree)
    except PlanError as error:
        if error.line:
            raise
        _, _, reason = str(error).partition("): ")  # a node's number says nothing to authors
        raise where.error(tree, reason or str(error), error.hint) from None
    except RecursionError:
        raise PlanError("the query nests too deeply", hint="name inner parts with WITH") from None


class _Planner:
    def __init__(
        self,
        where: QueryText,
        builder: PlanBuilder,
        datasets: Callable[[str], int],
        names: Mapping[str, int],
    ) -> None:
        self._where = where
        self._builder = builder
        self._datasets = datasets
        self._names = {name.casefold(): node for name, node in names.items()}
        self._results = Results(where, builder)

    # What stands in FROM (the protocol `Tables`).

    def table(self, node: exp.Table) -> Found:
        """A dataset, a view, or a WITH query. Raises: PlanError."""
        parts = [part.name for part in node.parts]
        if len(parts) == 1:
            found = self._names.get(parts[0].casefold())
            if found is None:
                raise self._where.error(
                    node,
                    f"there is no table {parts[0]!r} here",
                    "datasets are written party.table; results need job.view(name, table)",
                )
            return Found(found, parts[0], None)
        name = ".".join(parts).casefold()
        try:
            return Found(self._datasets(name), parts[-1], name)
        except PlanError as error:
            raise self._where.error(node, str(error), error.hint) from None

    def query(self, node: exp.Query) -> int:
        """Plan a query with its WITH clause. Raises: PlanError."""
        outer = dict(self._names)
        try:
            self._bind_with(node.args.get("with_"))
            match node:
                case exp.Subquery():
                    refuse_others(self._where, node, ("this", "with_"), "brackets")
                    return self.query(node.this)
                case exp.Select():
                    return self._select(node)
                case exp.Union():
                    return plan_union(node, self._results, self.query)
                case _:
                    hint = "LEFT SEMI JOIN and LEFT ANTI JOIN do what INTERSECT and EXCEPT do"
                    raise self._where.error(node, f"{node.key.upper()} may not stand here", hint)
        finally:
            self._names = outer

    def _bind_with(self, clause: exp.With | None) -> None:
        if clause is None:
            return
        refuse_others(self._where, clause, ("expressions",), "WITH")
        seen: set[str] = set()
        for part in clause.expressions:
            refuse_others(self._where, part, ("this", "alias"), "WITH")
            name = part.alias.casefold()
            if name in seen:
                raise self._where.error(part, f"WITH defines {part.alias!r} twice", "rename one")
            seen.add(name)
            node = self.query(part.this)
            columns = [c.name for c in part.args["alias"].columns]
            self._names[name] = self._renamed(part, node, columns) if columns else node

    def _renamed(self, part: exp.Expr, node: int, names: Sequence[str]) -> int:
        old = self._builder.schema(node).names
        if len(old) != len(names):
            raise self._where.error(
                part, f"the query has {len(old)} columns, and {len(names)} names are given"
            )
        pairs = [(new, ColumnRef(o)) for new, o in zip(names, old, strict=True)]
        return self._results.project(node, pairs, part)

    # SELECT

    def _select(self, select: exp.Select) -> int:
        refuse_others(self._where, select, _SELECT_PARTS, "a SELECT")
        tables = bind_from(select, self._where, self._builder, self)
        node = self._filtered(select, tables)
        group, having = select.args.get("group"), select.args.get("having")
        aggregated = group or having or any(has_aggregate(e) for e in select.expressions)
        if aggregated or _order_has_aggregate(select):
            return self._aggregated(select, tables.scope, node)
        rows = self._rows(tables.scope, "SELECT")
        items = self._items(select, tables.scope, rows.bind)
        keys = self._results.order_keys(select, items, rows)
        return self._finished(select, node, items, [i.value.expression for i in items], keys)

    def _rows(self, scope: Scope, clause: str) -> Scalars:
        refused = refuse_aggregates(self._where, clause)
        return Scalars(self._where, scope.columns, scope.resolve, refused)

    def _filtered(self, select: exp.Select, tables: FromClause) -> int:
        clause = select.args.get("where")
        parts = list(clause.this.flatten()) if clause and isinstance(clause.this, exp.And) else []
        if clause and not parts:
            parts = [clause.this]
        memberships = [p.unnest() for p in parts if _is_membership(p)]
        rows = self._rows(tables.scope, "WHERE")
        conditions: list[Expression] = []
        for part in parts:
            if not _is_membership(part):
                found = rows.condition(part, "a condition of WHERE").expression
                if isinstance(found, Call) and found.function == "and":
                    conditions.extend(found.arguments)
                else:
                    conditions.append(found)
        node, left = tables.join(conditions)
        if left:
            node = self._builder.add(Filter(node, all_true(left)))
        for membership in memberships:
            node = self._member(node, membership, rows)
        return node

    def _member(self, node: int, test: exp.Expr, rows: Scalars) -> int:
        """`x IN (SELECT ...)` as a condition of its own keeps the rows that match: a semi join."""
        value = rows.bind(test.this)
        inner = self.query(test.args["query"])
        schema = self._builder.schema(inner)
        if len(schema) != 1:
            hint = "select the one column to compare with"
            raise self._where.error(test, "the subquery after IN must have one column", hint)
        taken = {n.casefold() for n in self._builder.schema(node).names}
        name = next(n for i in range(1, 10**6) if (n := f"in_{i}") not in taken)
        renamed = self._builder.add(Project(inner, (NamedExpression(name, _only(schema.names)),)))
        columns = {**rows.columns, name: self._builder.schema(renamed).columns[0]}
        try:
            a, b = unify([value, typed(ColumnRef(name), columns)], columns)
        except PlanError as error:
            raise self._where.error(test, str(error), error.hint) from None
        return self._builder.add(
            Join(node, renamed, "semi", Call("eq", (a.expression, b.expression)))
        )

    def _items(
        self, select: exp.Select, scope: Scope, bind: Callable[[exp.Expr], Typed]
    ) -> list[Item]:
        items: list[Item] = []
        for node in select.expressions:
            star = node.this if isinstance(node, exp.Column) else node
            if isinstance(star, exp.Star):
                refuse_others(self._where, star, (), "SELECT *")
                qualifier = [p.name for p in node.parts[:-1]] if node is not star else []
                items.extend(
                    Item(c.name, typed(c.expression, scope.columns), node)
                    for c in scope.star(node, qualifier)
                )
                continue
            inner = node.this if isinstance(node, exp.Alias) else node
            value = bind(inner)
            if value.untyped:
                raise self._where.error(node, "NULL has no type here", "write CAST(NULL AS STRING)")
            items.append(Item(self._item_name(node, inner, scope), value, node))
        for number, item in enumerate(items):
            if any(same(item.name, other.name) for other in items[:number]):
                raise self._where.error(
                    item.node, f"two columns are called {item.name!r}", "name one: AS other"
                )
        return items

    def _item_name(self, node: exp.Expr, inner: exp.Expr, scope: Scope) -> str:
        if isinstance(node, exp.Alias):
            return str(node.alias)
        if isinstance(inner, exp.Column):
            found = scope.find(inner)
            return found[0][1].name if found else inner.name
        # As Spark does, the text itself names the column.
        text = inner.sql(dialect="spark", normalize_functions=False)
        return " ".join(text.split())[:_LONGEST_NAME]

    # GROUP BY

    def _aggregated(self, select: exp.Select, scope: Scope, node: int) -> int:
        rows = self._rows(scope, "GROUP BY")
        grouping = Grouping(self._where, self._rows(scope, "an aggregate"))
        for key in self._group_keys(select, scope, rows):
            grouping.add_key(key)
        values = Scalars(self._where, grouping.columns, scope.resolve, grouping.bind_aggregate)
        items = self._items(select, scope, values.bind)
        having = self._having(select, scope, grouping, items)
        keys = self._results.order_keys(select, items, values)
        wanted = {i.value.expression: i.name for i in items}
        grouped = grouping.build(self._builder, node, wanted)
        seen = scope.first_seen
        node = grouped.node
        if having is not None:
            clause = select.args["having"]
            node = self._builder.add(Filter(node, grouped.rewrite(having.expression, clause, seen)))
        expressions = [grouped.rewrite(i.value.expression, i.node, seen) for i in items]
        keys = [_rewritten_key(k, grouped, select, seen) for k in keys]
        return self._finished(select, node, items, expressions, keys)

    def _group_keys(self, select: exp.Select, scope: Scope, rows: Scalars) -> list[Typed]:
        group = select.args.get("group")
        if group is None:
            return []
        refuse_others(self._where, group, ("expressions",), "GROUP BY")
        return [self._group_key(part, select, scope, rows) for part in group.expressions]

    def _group_key(self, part: exp.Expr, select: exp.Select, scope: Scope, rows: Scalars) -> Typed:
        place = ordinal(part)
        if place is not None:
            part = self._at(select, part, place)
        elif isinstance(part, exp.Column) and not scope.find(part) and not part.table:
            # Spark: a column of the tables comes first, then a name given in SELECT.
            part = next(
                (e.this for e in select.expressions if same(e.alias or "", part.name)), part
            )
        value = rows.bind(part)
        if value.untyped:
            raise self._where.error(part, "NULL is no grouping key", "name a column")
        return value

    def _at(self, select: exp.Select, part: exp.Expr, place: int) -> exp.Expr:
        items: list[exp.Expr] = select.expressions
        if not 1 <= place <= len(items) or any(_is_star(e) for e in items):
            raise self._where.error(part, f"SELECT has no column number {place}", "name the column")
        chosen = items[place - 1]
        return chosen.this if isinstance(chosen, exp.Alias) else chosen

    def _having(
        self, select: exp.Select, scope: Scope, grouping: Grouping, items: Sequence[Item]
    ) -> Typed | None:
        clause = select.args.get("having")
        if clause is None:
            return None

        def resolve(node: exp.Column) -> Typed:
            # Spark: a grouping key comes first, then a name given in SELECT.
            found = scope.resolve(node) if scope.find(node) else None
            if found is not None and grouping.is_key(found):
                return found
            named = [i.value for i in items if not node.table and same(i.name, node.name)]
            return named[0] if named else scope.resolve(node)

        values = Scalars(self._where, grouping.columns, resolve, grouping.bind_aggregate)
        return values.condition(clause.this, "HAVING")

    def _finished(
        self,
        select: exp.Select,
        node: int,
        items: Sequence[Item],
        expressions: Sequence[Expression],
        keys: Sequence[SortKey],
    ) -> int:
        pairs = [(i.name, e) for i, e in zip(items, expressions, strict=True)]
        distinct = select.args.get("distinct")
        if distinct is not None:
            refuse_others(self._where, distinct, (), "DISTINCT")
            node = self._builder.add(Distinct(self._results.project(node, pairs, select)))
            places = {expression: ColumnRef(name) for name, expression in pairs}
            return self._results.cut(
                select, node, [_key_of_output(k, places, select, self._where) for k in keys]
            )
        if keys:
            node = self._results.cut(select, node, keys)
            return self._results.project(node, pairs, select)
        return self._results.cut(select, self._results.project(node, pairs, select), ())


def _only(names: Sequence[str]) -> ColumnRef:
    return ColumnRef(names[0])


def _is_star(node: exp.Expr) -> bool:
    return isinstance(node.this if isinstance(node, exp.Column) else node, exp.Star)


def _is_membership(node: exp.Expr) -> bool:
    inner = node.unnest()
    return isinstance(inner, exp.In) and inner.args.get("query") is not None


def _order_has_aggregate(select: exp.Select) -> bool:
    order = select.args.get("order")
    return order is not None and has_aggregate(order)


def _rewritten_key(
    key: SortKey, grouped: Grouped, select: exp.Select, seen: Mapping[str, exp.Expr]
) -> SortKey:
    expression = grouped.rewrite(key.expression, select.args["order"], seen)
    return SortKey(expression, key.descending, key.nulls_first)


def _key_of_output(
    key: SortKey, places: Mapping[Expression, ColumnRef], select: exp.Select, where: QueryText
) -> SortKey:
    if key.expression not in places:
        raise where.error(
            select.args.get("order"), "after DISTINCT, ORDER BY takes columns of the result only"
        )
    return SortKey(places[key.expression], key.descending, key.nulls_first)
