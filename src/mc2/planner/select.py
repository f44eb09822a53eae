"""One SELECT to nodes of a plan, clause by clause in SQL's order.

FROM and joins, WHERE, GROUP BY, HAVING, windows, QUALIFY, SELECT, DISTINCT, ORDER BY, LIMIT. What
later clauses name is bound before earlier ones are built, so calls of aggregates, windows and
subqueries over groups first stand as columns of their own, and are put in place at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from sqlglot import exp

from mc2.formats.schema import Column
from mc2.plan.expressions import ColumnRef, Expression, substituted
from mc2.plan.relations import Distinct, Explode, Filter, SortKey
from mc2.plan.types import BOOLEAN
from mc2.planner.aggregate_calls import has_aggregate, refuse_aggregates
from mc2.planner.conditions import bound_conditions, conjuncts
from mc2.planner.from_clause import EXPLODES, FromClause, Tables, bind_from, explode_name
from mc2.planner.grouping import Grouped, Grouping
from mc2.planner.grouping_sets import Keys, key_sets
from mc2.planner.levels import Level, Rows
from mc2.planner.names import same, told_apart
from mc2.planner.results import Item, Results, called, ordinal
from mc2.planner.scalar import Scalars
from mc2.planner.select_list import SelectList, is_star
from mc2.planner.sql_text import refuse_others
from mc2.planner.subqueries import (
    Subqueries,
    has_subquery,
    is_subquery,
)
from mc2.planner.typed import Typed, all_true, typed
from mc2.planner.window_calls import WindowCalls, has_window

_PARTS: Final = (
    "with_", "expressions", "distinct", "from_", "joins", "laterals", "where", "group", "having",
    "windows", "qualify", "order", "limit", "offset",
)  # fmt: skip
_MADE: Final = "mc2_column"
"""Marks a name in SELECT that stands for a column that is made before."""
_LATER: Final = "\x01"
"""Starts the name under which a subquery over groups stands in an expression."""


@dataclass(frozen=True, slots=True)
class _Bound:
    """The bound values of a SELECT: its columns, ORDER BY and QUALIFY."""

    items: list[Item]
    keys: list[SortKey]
    qualify: Typed | None


class Selection:
    """Plans one SELECT."""

    def __init__(self, tables: Tables, results: Results, select: exp.Select, level: Level) -> None:
        self._tables = tables
        self._results = results
        self._where = results.where
        self._builder = results.builder
        self._select = select
        self._level = level
        self.keyed: list[tuple[exp.Expr, Typed]] = []  # subqueries that are grouping keys

    def plan(self) -> int:
        """Add its nodes. Raises: PlanError."""
        select = self._select
        refuse_others(self._where, select, _PARTS, "a SELECT")
        found = bind_from(select, self._where, self._builder, self._tables, self._level)
        self._scope = found.scope
        self._list = SelectList(self._where, self._scope)
        self._rows = self._filtered(found)
        self._windows = WindowCalls(self._where, select, self._rows.columns)
        group, having = select.args.get("group"), select.args.get("having")
        parts = [*select.expressions, select.args.get("order"), select.args.get("qualify")]
        if group or having or any(has_aggregate(p) for p in parts if p is not None):
            return self._aggregated()
        self._explode_items()
        values = self._scalars("SELECT", self._rows, windows=True)
        bound = self._bound(values)
        places = self._windows.build(self._rows, _as_it_is, self._level.names)

        def put(expression: Expression, _node: exp.Expr) -> Expression:
            return substituted(expression, places)

        return self._finished(bound, put)

    # Values

    def _scalars(self, clause: str, rows: Rows, *, windows: bool = False) -> Scalars:
        """What binds values over some rows; subqueries add columns to them."""

        def special(scalars: Scalars, node: exp.Expr) -> Typed | None:
            made = node.meta.get(_MADE)
            if made is not None:
                return typed(ColumnRef(made), rows.columns)
            if windows and isinstance(node, exp.Window):
                return self._windows.bind(scalars, node)
            if is_subquery(node):
                return Subqueries(self._tables, rows, scalars.bind).value(node)
            return None

        refused = refuse_aggregates(self._where, clause)
        return Scalars(self._where, rows.columns, self._scope.resolve, refused, special)

    def _filtered(self, tables: FromClause) -> Rows:
        """FROM and WHERE. Conditions with subqueries come after those without."""
        parts = [*conjuncts(self._select.args.get("where")), *tables.later]
        plain = [p for p in parts if not has_subquery(p)]
        columns = dict(tables.scope.columns)
        scalars = Scalars(
            self._where, columns, tables.scope.resolve, refuse_aggregates(self._where, "WHERE")
        )
        node, left = tables.join(bound_conditions(scalars, plain))
        rows = Rows(self._builder, node, tables.scope.own_columns(), tables.scope.look_up)
        if left:
            rows.add(Filter(node, all_true(left)))
        self._keep(rows, [p for p in parts if has_subquery(p)])
        return rows

    def _keep(self, rows: Rows, parts: Sequence[exp.Expr]) -> None:
        """Filter by conditions with subqueries."""
        values = self._scalars("WHERE", rows)
        for part in parts:
            if not Subqueries(self._tables, rows, values.bind).keep(part):
                condition = values.condition(part, "a condition of WHERE")
                rows.add(Filter(rows.node, condition.expression))

    def _bound(
        self, values: Scalars, resolve: Callable[[exp.Column], Typed] | None = None
    ) -> _Bound:
        items = self._list.bind(self._select, values)
        keys = self._results.order_keys(self._select, items, values)
        clause = self._select.args.get("qualify")
        if clause is None:
            return _Bound(items, keys, None)
        if not any(has_window(n) for n in (*self._select.expressions, clause)):
            hint = "write WHERE, or HAVING"
            raise self._where.error(clause, "QUALIFY finds no window function here", hint)
        found = resolve or values.resolve

        def named(node: exp.Column) -> Typed:
            if self._scope.find(node):
                return found(node)
            return called(self._where, node, items) or found(node)

        tests = Scalars(self._where, values.columns, named, values.aggregate, values.special)
        return _Bound(items, keys, tests.condition(clause.this, "QUALIFY"))

    def _explode_items(self) -> None:
        """`SELECT explode(list) AS x`: the rows become those of the elements first."""
        found = [n for n in self._select.expressions if explode_name(n)]
        if len(found) > 1:
            raise self._where.error(
                found[1], "SELECT takes one explode only", "write LATERAL VIEW for the others"
            )
        for node in found:
            name = explode_name(node)
            call = node.this if isinstance(node, (exp.Alias, exp.Aliases)) else node
            position, outer = EXPLODES[name]
            written = [a.name for a in node.expressions] if isinstance(node, exp.Aliases) else []
            names = written or ([node.alias] if isinstance(node, exp.Alias) else [])
            names = names or (["pos", "col"] if position else ["col"])
            if len(names) != 1 + position or len(call.expressions) != 1:
                raise self._where.error(node, f"{name} gives {1 + position} column(s) of one list")
            value = self._scalars("SELECT", self._rows).bind(call.expressions[0])
            if value.type.element is None:
                raise self._where.error(node, f"{name} takes a list, not a {value.type}")
            made = [self._rows.fresh(n) for n in names]
            self._rows.add(
                Explode(
                    self._rows.node,
                    value.expression,
                    made[-1],
                    made[0] if position else None,
                    outer,
                )
            )
            self._put_items(node, dict(zip(names, made, strict=True)))

    def _put_items(self, node: exp.Expr, made: Mapping[str, str]) -> None:
        """Name the exploded columns in the place of the call."""
        new = []
        for item in self._select.expressions:
            if item is not node:
                new.append(item)
                continue
            for name, column in made.items():
                reference = exp.column(exp.to_identifier(column, quoted=True))
                reference.meta[_MADE] = column
                new.append(exp.alias_(reference, name, quoted=True))
        self._select = self._select.copy()  # it may be planned again, over other rows
        self._select.set("expressions", new)

    # GROUP BY

    def _aggregated(self) -> int:
        rows = self._rows
        grouping = Grouping(self._where, self._scalars("an aggregate", rows), self._level.names)
        for name in self._level.names:
            grouping.add_key(typed(ColumnRef(name), rows.columns))
        self._group(grouping)
        later = _Later(self, rows, grouping.columns)
        self._windows = WindowCalls(self._where, self._select, grouping.columns)
        values = Scalars(
            self._where,
            grouping.columns,
            self._scope.resolve,
            grouping.bind_aggregate,
            later.special,
        )
        items = self._list.bind(self._select, values)
        having = self._having(values, grouping, items)
        bound = self._bound(values)
        wanted = {i.value.expression: i.name for i in bound.items}
        grouped = grouping.build(self._builder, rows.node, wanted)
        if self._select.args.get("group") is None and self._level.domain is not None:
            grouped = grouped.restored(self._builder, self._level)
        return self._over_groups(grouped, later, values, bound, having)

    def _over_groups(
        self, grouped: Grouped, later: _Later, values: Scalars, bound: _Bound, having: Typed | None
    ) -> int:
        columns = dict(self._builder.schema(grouped.node).by_name())

        def put(expression: Expression, node: exp.Expr) -> Expression:
            return grouped.rewrite(expression, node, self._scope.first_seen)

        def over_groups(node: exp.Expr) -> Typed:
            return typed(put(values.bind(node).expression, node), columns)

        def find(node: exp.Column) -> Typed | None:
            outside = self._scope.look_up(node)
            return None if outside is None else typed(put(outside.expression, node), columns)

        self._rows = Rows(self._builder, grouped.node, columns, find)
        for name, node in later.found.items():
            value = Subqueries(self._tables, self._rows, over_groups).value(node)
            grouped.replacements[ColumnRef(name)] = value.expression
        if having is not None:
            clause = self._select.args["having"]
            self._rows.add(Filter(self._rows.node, put(having.expression, clause)))
        calls = self._windows.build(self._rows, put, self._level.names)
        grouped.replacements.update({ColumnRef(n): e for n, e in calls.items()})
        return self._finished(bound, put)

    def _group(self, grouping: Grouping) -> None:
        group = self._select.args.get("group")
        if group is None:
            return
        nodes, sets = self._all_keys(group) or key_sets(self._where, group)
        values = self._scalars("GROUP BY", self._rows)
        keys = {id(n): self._group_key(n, values) for n in nodes}
        for key in keys.values():
            grouping.add_key(key)
        if sets:
            fixed = [typed(ColumnRef(n), self._rows.columns) for n in self._level.names]
            if fixed and not all(sets):
                raise self._where.error(
                    group,
                    "the empty grouping set may not stand in a subquery that names outer columns",
                    "join with a subquery in FROM",
                )
            grouping.set_sets([[*fixed, *(keys[id(n)] for n in chosen)] for chosen in sets])

    def _all_keys(self, group: exp.Group) -> tuple[list[exp.Expr], list[Keys]] | None:
        """The keys of GROUP BY ALL: whatever SELECT names, but aggregates and constants."""
        if not group.args.get("all"):
            return None
        refuse_others(self._where, group, ("all",), "GROUP BY ALL")
        items = [e for e in self._select.expressions if not has_aggregate(e)]
        for item in items:
            if is_star(item):
                raise self._where.error(item, "GROUP BY ALL takes no *", "name the columns")
        values = [e.this if isinstance(e, exp.Alias) else e for e in items]
        return [v for v in values if not isinstance(v, exp.Literal)], []

    def _group_key(self, part: exp.Expr, rows: Scalars) -> Typed:
        place = ordinal(part)
        if place is not None:
            part = self._at(part, place)
        elif isinstance(part, exp.Column) and not self._scope.find(part) and not part.table:
            # Spark: a column of the tables comes first, then a name given in SELECT.
            part = self._alias(part)
        value = rows.bind(part)
        if value.untyped:
            raise self._where.error(part, "NULL is no grouping key", "name a column")
        if is_subquery(part):
            self.keyed.append((part, value))
        return value

    def _alias(self, part: exp.Column) -> exp.Expr:
        """What SELECT calls so; the column itself if it calls nothing so."""
        named = [e.this for e in self._select.expressions if same(e.alias or "", part.name)]
        if any(n != named[0] for n in named):
            hint = "name one of them: AS other"
            raise self._where.error(part, f"SELECT has several columns {part.name!r}", hint)
        return named[0] if named else part

    def _at(self, part: exp.Expr, place: int) -> exp.Expr:
        items: list[exp.Expr] = self._select.expressions
        if not 1 <= place <= len(items) or any(is_star(e) for e in items):
            raise self._where.error(part, f"SELECT has no column number {place}", "name the column")
        chosen = items[place - 1]
        return chosen.this if isinstance(chosen, exp.Alias) else chosen

    def _having(self, values: Scalars, grouping: Grouping, items: Sequence[Item]) -> Typed | None:
        clause = self._select.args.get("having")
        if clause is None:
            return None
        scope = self._scope

        def resolve(node: exp.Column) -> Typed:
            # Spark: a grouping key comes first, then a name given in SELECT.
            found = scope.resolve(node) if scope.find(node) else None
            if found is not None and grouping.is_key(found):
                return found
            return called(self._where, node, items) or scope.resolve(node)

        tests = Scalars(
            self._where, grouping.columns, resolve, grouping.bind_aggregate, values.special
        )
        return tests.condition(clause.this, "HAVING")

    # The end

    def _finished(self, bound: _Bound, put: Callable[[Expression, exp.Expr], Expression]) -> int:
        select, results, level = self._select, self._results, self._level
        order = select.args.get("order") or select
        if bound.qualify is not None:
            clause = select.args["qualify"]
            test = put(bound.qualify.expression, clause)
            self._rows.add(Filter(self._rows.node, test))
        node = self._rows.node
        pairs: list[tuple[str, Expression]] = [(n, ColumnRef(n)) for n in level.names]
        names = told_apart([i.name for i in bound.items])
        pairs += [
            (n, put(i.value.expression, i.node)) for n, i in zip(names, bound.items, strict=True)
        ]
        keys = [SortKey(put(k.expression, order), k.descending, k.nulls_first) for k in bound.keys]
        distinct = select.args.get("distinct")
        if distinct is not None:
            refuse_others(self._where, distinct, (), "DISTINCT")
            node = self._builder.add(Distinct(results.project(node, pairs, select)))
            places = {expression: ColumnRef(name) for name, expression in pairs}
            keys = [self._key_of_output(k, places) for k in keys]
            return results.cut(select, node, keys, level)
        if keys and not level.names:
            node = results.cut(select, node, keys, level)
            return results.project(node, pairs, select)
        if keys:  # the rows are cut by their numbers, so the keys must still be there
            return results.project(results.cut(select, node, keys, level), pairs, select)
        return results.cut(select, results.project(node, pairs, select), (), level)

    def _key_of_output(self, key: SortKey, places: Mapping[Expression, ColumnRef]) -> SortKey:
        if key.expression not in places:
            raise self._where.error(
                self._select.args.get("order"),
                "after DISTINCT, ORDER BY takes columns of the result only",
            )
        return SortKey(places[key.expression], key.descending, key.nulls_first)


class _Later:
    """Subqueries over groups: typed over the rows now, planned over the groups later."""

    def __init__(self, selection: Selection, rows: Rows, columns: dict[str, Column]) -> None:
        self._selection = selection
        self._rows = rows
        self._columns = columns
        self.found: dict[str, exp.Expr] = {}

    def special(self, scalars: Scalars, node: exp.Expr) -> Typed | None:
        """A window function or a subquery, as the column that will hold it."""
        if isinstance(node, exp.Window):
            return self._selection._windows.bind(scalars, node)  # noqa: SLF001  # its own part
        if not is_subquery(node):
            return None
        for key, value in self._selection.keyed:
            if key == node:
                return value
        if isinstance(node, exp.In):
            left = node.this.unnest()
            for part in left.expressions if isinstance(left, exp.Tuple) else [left]:
                scalars.bind(part)  # so that aggregates in it are there when it is planned
        name = f"{_LATER}{len(self.found)}"
        self.found[name] = node
        kind = BOOLEAN
        if not isinstance(node, (exp.In, exp.Exists)):
            tried = Rows(
                self._rows.builder, self._rows.node, dict(self._rows.columns), self._rows.find
            )
            tables = self._selection._tables  # noqa: SLF001  # its own part
            kind = Subqueries(tables, tried, scalars.bind).value(node).type
        self._columns[name] = Column(name, kind, nullable=True)
        return typed(ColumnRef(name), self._columns)


def _as_it_is(expression: Expression, _node: exp.Expr) -> Expression:
    return expression
