"""A subquery whose WHERE alone names outer columns, planned for a join on these conditions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from sqlglot import exp

from mc2.formats.schema import Column
from mc2.plan.expressions import Call, ColumnRef, Expression, columns_of
from mc2.plan.relations import Filter
from mc2.planner.aggregate_calls import has_aggregate, refuse_aggregates
from mc2.planner.conditions import bound_conditions, conjuncts
from mc2.planner.from_clause import bind_from
from mc2.planner.grouping import Grouping
from mc2.planner.levels import Level, Rows, free_name
from mc2.planner.names import Scope
from mc2.planner.scalar import Scalars
from mc2.planner.select import Selection
from mc2.planner.select_list import SelectList
from mc2.planner.subqueries import Direct, NotDirect, has_subquery, outer_names
from mc2.planner.typed import Typed, all_true, typed
from mc2.planner.window_calls import WindowCalls

_DIRECT_PARTS: Final = {"expressions", "from_", "joins", "where", "distinct"}


class DirectSelection(Selection):
    """Plans one SELECT without the conditions that name outer columns."""

    def direct(self, *, value: bool) -> Direct:
        """Plan it without the conditions that name outer columns. Raises: NotDirect, PlanError."""
        select = self._select
        used = {k for k, v in select.args.items() if v}
        if used - _DIRECT_PARTS or (value and "distinct" in used):
            raise NotDirect
        lookup = self._level.outer
        refusing = Level(lambda node: _never(lookup, node))
        found = bind_from(select, self._where, self._builder, self._tables, refusing)
        self._level = refusing
        self._scope = found.scope
        self._list = SelectList(self._where, self._scope)
        parts = [*conjuncts(select.args.get("where")), *found.later]
        links: list[Expression] = []
        conditions: list[Expression] = []
        for test in self._tests(found.scope, [p for p in parts if not has_subquery(p)], lookup):
            (links if outer_names(test) else conditions).append(test)
        node, left = found.join(conditions)
        self._rows = Rows(self._builder, node, found.scope.own_columns(), found.scope.look_up)
        if left:
            self._rows.add(Filter(node, all_true(left)))
        self._keep(self._rows, [p for p in parts if has_subquery(p)])
        self._windows = WindowCalls(self._where, select, self._rows.columns)
        if any(has_aggregate(e) for e in select.expressions):
            if not value or len(select.expressions) != 1:
                raise NotDirect
            return self._direct_aggregate(links)
        items = self._list.bind(select, self._scalars("SELECT", self._rows, windows=False))
        names = sorted({n for t in links for n in _inner_names(t)})
        pairs: list[tuple[str, Expression]] = [(n, ColumnRef(n)) for n in names]
        values: list[Expression] = []
        for item in items:
            name = free_name("value", {n.casefold() for n, _ in pairs})
            pairs.append((name, item.value.expression))
            values.append(ColumnRef(name))
        made = self._results.project(self._rows.node, pairs, select)
        return Direct(made, tuple(links), tuple(values))

    def _tests(
        self,
        scope: Scope,
        parts: Sequence[exp.Expr],
        lookup: Callable[[exp.Column], Typed | None] | None,
    ) -> list[Expression]:
        """Conditions in which outer columns may stand, under the names that `lookup` gives."""
        columns = scope.own_columns()

        def resolve(node: exp.Column) -> Typed:
            if scope.find(node) or lookup is None:
                return scope.resolve(node)
            found = lookup(node)
            if found is None:
                return scope.resolve(node)
            if isinstance(found.expression, ColumnRef):
                name = found.expression.name
                columns[name] = Column(name, found.type, found.nullable)
            return found

        refused = refuse_aggregates(self._where, "WHERE")
        return bound_conditions(Scalars(self._where, columns, resolve, refused), parts)

    def _direct_aggregate(self, links: Sequence[Expression]) -> Direct:
        """An aggregate over the rows that equal the outer ones: one for each group of them."""
        pairs = [_equation(link) for link in links]
        grouping = Grouping(self._where, self._scalars("an aggregate", self._rows))
        for inner, _ in pairs:
            grouping.add_key(typed(inner, self._rows.columns))
        values = Scalars(
            self._where, grouping.columns, self._scope.resolve, grouping.bind_aggregate
        )
        item = self._list.bind(self._select, values)[0]
        grouped = grouping.build(self._builder, self._rows.node, {})
        zero = grouped.zeros
        on = [Call("eq", (outer, grouped.replacements[inner])) for inner, outer in pairs]
        found = grouped.rewrite(item.value.expression, item.node, self._scope.first_seen)
        return Direct(grouped.node, tuple(on), (found,), zero)


def _never(lookup: Callable[[exp.Column], Typed | None] | None, node: exp.Column) -> Typed | None:
    if lookup is not None and lookup(node) is not None:
        raise NotDirect
    return None


def _equation(link: Expression) -> tuple[Expression, Expression]:
    """The inner and the outer side of an equation. Raises: NotDirect."""
    if isinstance(link, Call) and link.function == "eq":
        for inner, outer in (link.arguments, link.arguments[::-1]):
            if not outer_names(inner) and outer_names(outer) and not _inner_names(outer):
                return inner, outer
    raise NotDirect


def _inner_names(expression: Expression) -> set[str]:
    return set(columns_of(expression)) - outer_names(expression)
