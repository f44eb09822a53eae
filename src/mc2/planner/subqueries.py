"""Subqueries in values and conditions, as joins: marks for IN and EXISTS, single joins for values.

Three ways, the first that fits: a subquery that names nothing outside of it stands alone; one
that does so only in conditions of its WHERE is joined on these; every other one is planned over
the domain of the outer columns it names (`mc2.planner.levels`). See docs/adr.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import (
    Call,
    ColumnRef,
    Expression,
    columns_of,
    literal,
    substituted,
)
from mc2.plan.relations import Distinct, Filter, Join, Mark, NamedExpression, Project
from mc2.plan.types import BOOLEAN
from mc2.planner.levels import TOP, Level, Rows
from mc2.planner.sql_text import QueryText, refuse_others
from mc2.planner.typed import Typed, all_true, typed, unify

OUTER = "\x04"
"""Starts the name of an outer column in the conditions of a subquery."""


class NotDirect(Exception):  # noqa: N818  # control flow, caught where it is raised for
    """A subquery is not of the simple form that a join on its conditions answers."""


class _Correlated(Exception):  # noqa: N818  # as above
    """A subquery names a column of a query around it."""


class _Again(Exception):  # noqa: N818  # as above
    """A subquery names one more outer column, and is planned once more with it."""

    def __init__(self, search: _Search) -> None:
        self.search = search


@dataclass(frozen=True, slots=True)
class Direct:
    """A subquery whose conditions `links` tie it to outer columns, named with `OUTER`.

    `values` are its columns over `node`, or what replaces them where nothing matches;
    `unique`: the links let one row of it match at most.
    """

    node: int
    links: tuple[Expression, ...]
    values: tuple[Expression, ...]
    zero: frozenset[str] = frozenset()


class Queries(Protocol):
    """Plans the queries inside a query."""

    where: QueryText
    builder: PlanBuilder

    def query(self, node: exp.Query, level: Level = TOP) -> int:
        """Plan a query; at a level with a domain, its columns come first. Raises: PlanError."""
        ...

    def direct(
        self, select: exp.Select, outer: Callable[[exp.Column], Typed | None], *, value: bool
    ) -> Direct:
        """Plan a subquery for a join on its conditions. Raises: NotDirect, PlanError."""
        ...


@dataclass(frozen=True, slots=True)
class _Answer:
    """A planned subquery: a relation to join with, on what, and its values over the result."""

    node: int
    on: tuple[Expression, ...]
    values: tuple[Typed, ...]


@dataclass(frozen=True, slots=True)
class Lateral:
    """A planned query of FROM: its rows, the conditions that tie them to those before, its columns.

    A column's name ends with what the query calls it, after a dot.
    """

    node: int
    on: tuple[Expression, ...]
    columns: tuple[Expression, ...]


class _Search:
    """The outer columns that one subquery names, found one after the other."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self.found: dict[Expression, Column] = {}

    def outer(self, node: exp.Column) -> Typed | None:
        """What a name means outside: a column of the domain."""
        value = self._rows.find(node)
        if value is None:
            return None
        if value.expression not in self.found:
            name = f"outer_{len(self.found) + 1}"
            self.found[value.expression] = Column(name, value.type, value.nullable)
            raise _Again(self)
        column = self.found[value.expression]
        return Typed(ColumnRef(column.name), column.type, column.nullable)

    def domain(self) -> int:
        """The node of the values of the outer columns, each combination once."""
        columns = tuple(NamedExpression(c.name, e) for e, c in self.found.items())
        project = self._rows.builder.add(Project(self._rows.node, columns))
        return self._rows.builder.add(Distinct(project))


def is_subquery(node: exp.Expr) -> bool:
    """Whether a value is a subquery, or IN or EXISTS over one."""
    if isinstance(node, exp.In):
        return node.args.get("query") is not None
    return isinstance(node, (exp.Subquery, exp.Select, exp.SetOperation, exp.Exists))


def has_subquery(node: exp.Expr) -> bool:
    """Whether a value holds a subquery."""
    return any(is_subquery(n) for n in node.walk(prune=is_subquery))


@dataclass(frozen=True, slots=True)
class Subqueries:
    """Answers the subqueries of one clause over its rows; `bind` binds what stands beside them."""

    queries: Queries
    rows: Rows
    bind: Callable[[exp.Expr], Typed]

    def lateral(self, query: exp.Query) -> Lateral:
        """A query of FROM that may name columns of the tables before it. Raises: PlanError."""
        try:
            answer = self._alone(query)
        except _Correlated:
            answer = self._over_domain(query)
        return Lateral(answer.node, answer.on, tuple(v.expression for v in answer.values))

    def value(self, node: exp.Expr) -> Typed:
        """The value of a subquery for each row, as a column that the rows now have.

        Raises: PlanError.
        """
        match node:
            case exp.Exists():
                return self._exists(node)
            case exp.In():
                return self._member(node)
            case _:
                return self._scalar(node)

    def keep(self, node: exp.Expr) -> bool:
        """Keep the rows for which a condition with a subquery on top is true, by a join.

        False if the condition is of another form, and nothing was done. Raises: PlanError.
        """
        inner, negated = node.unnest(), False
        while isinstance(inner, exp.Not):
            inner, negated = inner.this.unnest(), not negated
        how = "anti" if negated else "semi"
        if isinstance(inner, exp.Exists):
            answer = self._answer(inner.this, exists=True)
            self._join(answer, how, answer.on)
            return True
        if not is_subquery(inner) or not isinstance(inner, exp.In):
            return False
        answer, tests = self._tested(inner)
        if not negated:
            self._join(answer, how, (*answer.on, *tests))
            return True
        if any(t.nullable for t in self._typed_tests(answer, tests)):
            mark = self._mark("in", answer, (*map(_surely, answer.on), *tests))
            self.rows.add(Filter(self.rows.node, Call("not", (mark.expression,))))
        else:
            self._join(answer, how, (*answer.on, *tests))
        return True

    def _join(self, answer: _Answer, how: str, on: Sequence[Expression]) -> None:
        condition = all_true(on) if on else literal(value=True, kind=BOOLEAN)
        self.rows.add(Join(self.rows.node, answer.node, how, condition))

    def _mark(self, stem: str, answer: _Answer, on: Sequence[Expression]) -> Typed:
        name = self.rows.fresh(stem)
        condition = all_true(on) if on else literal(value=True, kind=BOOLEAN)
        self.rows.add(Mark(self.rows.node, answer.node, name, condition))
        return typed(ColumnRef(name), self.rows.columns)

    def _exists(self, node: exp.Exists) -> Typed:
        answer = self._answer(node.this, exists=True)
        return self._mark("exists", answer, [_surely(o) for o in answer.on])

    def _member(self, node: exp.In) -> Typed:
        answer, tests = self._tested(node)
        return self._mark("in", answer, (*map(_surely, answer.on), *tests))

    def _tested(self, node: exp.In) -> tuple[_Answer, tuple[Expression, ...]]:
        """The subquery after IN, and the equations of its columns with what stands before."""
        refuse_others(self.queries.where, node, ("this", "query"), "IN")
        left = node.this.unnest()
        parts = left.expressions if isinstance(left, exp.Tuple) else [left]
        values = [self.bind(p) for p in parts]
        answer = self._answer(node.args["query"])
        if len(answer.values) != len(values):
            what = "one column" if len(values) == 1 else f"{len(values)} columns"
            raise self.queries.where.error(
                node,
                f"the subquery after IN must have {what}",
                f"select the {what} to compare with",
            )
        tests = []
        columns = {**self.rows.columns, **self.rows.builder.schema(answer.node).by_name()}
        for value, found in zip(values, answer.values, strict=True):
            try:
                a, b = unify([value, found], columns)
            except PlanError as error:
                raise self.queries.where.error(node, str(error), error.hint) from None
            tests.append(Call("eq", (a.expression, b.expression)))
        return answer, tuple(tests)

    def _typed_tests(self, answer: _Answer, tests: Sequence[Expression]) -> list[Typed]:
        columns = {**self.rows.columns, **self.rows.builder.schema(answer.node).by_name()}
        return [typed(t, columns) for t in tests]

    def _scalar(self, node: exp.Expr) -> Typed:
        answer = self._answer(node, value=True)
        if len(answer.values) != 1:
            raise self.queries.where.error(
                node, f"a subquery as a value has one column, not {len(answer.values)}",
                "select the one column",
            )  # fmt: skip
        on = all_true(answer.on) if answer.on else None
        self.rows.add(Join(self.rows.node, answer.node, "single", on))
        return typed(answer.values[0].expression, self.rows.columns)

    # The three ways.

    def _answer(self, node: exp.Expr, *, exists: bool = False, value: bool = False) -> _Answer:
        query = _without_brackets(node)
        if exists:
            query = _existing(query)
        try:
            return self._alone(query)
        except _Correlated:
            pass
        if isinstance(query, exp.Select):
            try:
                return self._direct(query, value=value)
            except NotDirect:
                pass
        return self._over_domain(query)

    def _alone(self, query: exp.Query) -> _Answer:
        def outer(node: exp.Column) -> Typed | None:
            if self.rows.find(node) is None:
                return None
            raise _Correlated

        node, names = self._renamed(self.queries.query(query, Level(outer)))
        columns = self.rows.builder.schema(node).by_name()
        return _Answer(node, (), tuple(typed(ColumnRef(n), columns) for n in names.values()))

    def _direct(self, query: exp.Select, *, value: bool) -> _Answer:
        def outer(node: exp.Column) -> Typed | None:
            found = self.rows.find(node)
            if found is None:
                return None
            if not isinstance(found.expression, ColumnRef):
                raise NotDirect
            return Typed(ColumnRef(OUTER + found.expression.name), found.type, found.nullable)

        plan = self.queries.direct(query, outer, value=value)
        node, names = self._renamed(plan.node)
        meanings: dict[str, Expression] = {o: ColumnRef(n) for o, n in names.items()}
        columns = dict(self.rows.builder.schema(node).by_name())
        outside: dict[str, Expression] = {OUTER + n: ColumnRef(n) for n in self.rows.columns}
        on = tuple(substituted(link, {**meanings, **outside}) for link in plan.links)
        loose = {n: Column(c.name, c.type, nullable=True) for n, c in columns.items()}
        for name in plan.zero:  # a count over nothing is 0, and no row came of it
            zero = literal(0, columns[names[name]].type)
            meanings[name] = Call("coalesce", (ColumnRef(names[name]), zero))
        values = tuple(
            typed(substituted(v, meanings), loose if value else columns) for v in plan.values
        )
        return _Answer(node, on, values)

    def _over_domain(self, query: exp.Query) -> _Answer:
        search = _Search(self.rows)
        while True:
            names = tuple(c.name for c in search.found.values())
            domain = search.domain() if names else None
            try:
                found = self.queries.query(query, Level(search.outer, domain, names))
                break
            except _Again as again:
                if again.search is not search:
                    raise
        node, renamed = self._renamed(found)
        columns = self.rows.builder.schema(node).by_name()
        on = tuple(
            Call("same", (outside, ColumnRef(renamed[c.name])))
            for outside, c in search.found.items()
        )
        values = list(renamed.values())[len(names) :]
        return _Answer(node, on, tuple(typed(ColumnRef(n), columns) for n in values))

    def _renamed(self, node: int) -> tuple[int, dict[str, str]]:
        """The relation with names that the rows do not have, and those names by the old ones."""
        builder = self.rows.builder
        old = builder.schema(node).names
        taken, number = self.rows.taken, 1
        names = {n: f"subquery_{number}.{n}"[:255] for n in old}
        while any(n.casefold() in taken for n in names.values()):
            number += 1
            names = {n: f"subquery_{number}.{n}"[:255] for n in old}
        columns = tuple(NamedExpression(new, ColumnRef(o)) for o, new in names.items())
        return builder.add(Project(node, columns)), names


def _surely(condition: Expression) -> Expression:
    """The condition with false for NULL: it decides which rows there are, not what is known."""
    if isinstance(condition, Call) and condition.function == "same":
        return condition
    return Call("coalesce", (condition, literal(value=False, kind=BOOLEAN)))


def _without_brackets(node: exp.Expr) -> exp.Query:
    while isinstance(node, exp.Subquery) and not any(
        v for k, v in node.args.items() if k != "this"
    ):
        node = node.this
    if not isinstance(node, exp.Query):
        raise PlanError("there is no query in the brackets")
    return node


def _existing(query: exp.Query) -> exp.Query:
    """A query of which only it counts whether it has rows: what it selects need not be bound."""
    if not isinstance(query, exp.Select) or set(_parts(query)) - {"expressions", "from_", "joins",
                                                                  "where", "distinct"}:  # fmt: skip
        return query
    if any(n for e in query.expressions for n in e.find_all(exp.Anonymous, exp.Window)):
        return query  # it may be an aggregate, which gives a row where there is none
    plain = query.copy()
    plain.set("expressions", [exp.alias_(exp.Literal.number(1), "one")])
    plain.set("distinct", None)
    return plain


def _parts(query: exp.Query) -> list[str]:
    return [k for k, v in query.args.items() if v]


def outer_names(expression: Expression) -> frozenset[str]:
    """The outer columns in a condition of a subquery."""
    return frozenset(n for n in columns_of(expression) if n.startswith(OUTER))
