"""GROUP BY, HAVING and aggregate calls.

Every value of an aggregated SELECT is bound over single rows first, with each aggregate call
standing as a column of its own; then parts equal to a grouping key become that key, and any
column that is left over is an error: it would have many values.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from sqlglot import exp

from mc2.errors import PlanError
from mc2.formats.schema import Column
from mc2.plan.aggregates import aggregate as plan_aggregate
from mc2.plan.build import PlanBuilder
from mc2.plan.expressions import Call, Case, Cast, ColumnRef, Expression, InList, When
from mc2.plan.functions import Argument
from mc2.plan.relations import Aggregate, AggregateColumn, NamedExpression, Project
from mc2.plan.types import BOOLEAN, DOUBLE
from mc2.planner.scalar import Scalars
from mc2.planner.sql_text import QueryText
from mc2.planner.typed import Typed, convert, typed

AGGREGATES: Final = {
    "count": "count", "count_if": "count_if", "sum": "sum", "avg": "avg", "mean": "avg",
    "min": "min", "max": "max", "stddev": "stddev_samp", "std": "stddev_samp",
    "stddev_samp": "stddev_samp", "stddev_pop": "stddev_pop", "variance": "var_samp",
    "var_samp": "var_samp", "var_pop": "var_pop", "bool_and": "bool_and", "every": "bool_and",
    "bool_or": "bool_or", "some": "bool_or",
}  # fmt: skip
"""Spark's aggregate functions, as the plan calls them."""
_OF_DOUBLES: Final = ("stddev_samp", "stddev_pop", "var_samp", "var_pop")
_INSTEAD: Final = {
    "WHERE": "put the condition into HAVING",
    "SELECT": "name it in SELECT as it stands",
    "ORDER BY": "name it in SELECT, and order by that name",
    "GROUP BY": "group by columns, and aggregate in a query around this one",
    "ON": "aggregate in a subquery, and join with that",
    "an aggregate": "aggregate in a subquery, and aggregate its result",
}
_MARK: Final = "\x00"
"""Starts the name under which an aggregate stands in an expression; no real column has it."""


def is_aggregate(node: exp.Expr) -> bool:
    """Whether a call is one of an aggregate function."""
    inner = node.this if isinstance(node, exp.Filter) else node
    return (
        isinstance(inner, exp.Anonymous)
        and isinstance(inner.this, str)
        and inner.this.lower() in AGGREGATES
    )


def has_aggregate(node: exp.Expr) -> bool:
    """Whether a value holds an aggregate call, outside of subqueries."""
    return any(is_aggregate(n) for n in node.walk(prune=lambda n: isinstance(n, exp.Query)))


def refuse_aggregates(where: QueryText, clause: str) -> Callable[[exp.Expr], Typed | None]:
    """For clauses that see single rows: an aggregate has no meaning there."""

    def check(node: exp.Expr) -> Typed | None:
        if is_aggregate(node):
            raise where.error(node, f"an aggregate may not stand in {clause}", _INSTEAD[clause])
        return None

    return check


class Grouping:
    """Collects the keys and aggregates of one SELECT, then builds the node over them."""

    def __init__(self, where: QueryText, rows: Scalars) -> None:
        self._where = where
        self._rows = rows  # binds over single rows and refuses aggregates
        self.columns: dict[str, Column] = dict(rows.columns)
        self._keys: list[Typed] = []
        self._calls: list[AggregateColumn] = []

    def add_key(self, value: Typed) -> None:
        """Group by a value, too."""
        if value.expression not in [k.expression for k in self._keys]:
            self._keys.append(value)

    def is_key(self, value: Typed) -> bool:
        """Whether a value is one of the keys."""
        return value.expression in [k.expression for k in self._keys]

    def bind_aggregate(self, node: exp.Expr) -> Typed | None:
        """An aggregate call as the column that will hold it; None if the node is none."""
        if not is_aggregate(node):
            return None
        try:
            call = self._call(node)
            if call not in self._calls:
                self._calls.append(call)
                self._type_call(call)
        except PlanError as error:
            if error.line:
                raise
            raise self._where.error(node, str(error), error.hint) from None
        return self._mark(self._calls.index(call))

    def _mark(self, number: int) -> Typed:
        column = self.columns[f"{_MARK}{number}"]
        return Typed(ColumnRef(column.name), column.type, column.nullable)

    def _type_call(self, call: AggregateColumn) -> None:
        function = plan_aggregate(call.function)
        arguments = tuple(
            Argument(t.type, t.nullable)
            for t in (typed(a, self._rows.columns) for a in call.arguments)
        )
        kind, nullable = function.type(arguments, may_be_empty=True)
        name = f"{_MARK}{len(self._calls) - 1}"
        self.columns[name] = Column(name, kind, nullable)

    def _call(self, node: exp.Expr) -> AggregateColumn:
        condition: Expression | None = None
        if isinstance(node, exp.Filter):
            clause = node.expression
            condition = self._rows.condition(clause.this, "the condition of FILTER").expression
            node = node.this
        name = AGGREGATES[str(node.this).lower()]
        arguments, distinct = self._arguments(node)
        if name == "count_if":
            test = self._rows.condition(arguments[0], "the condition of count_if")
            tests = [t for t in (condition, test.expression) if t is not None]
            both = tests[0] if len(tests) == 1 else Call("and", tuple(tests))
            return AggregateColumn("", "count_star", (), where=both)
        if name == "count" and isinstance(arguments[0], (exp.Star, exp.Literal)) and not distinct:
            return AggregateColumn("", "count_star", (), where=condition)
        value = self._rows.bind(arguments[0])
        if value.untyped:
            raise PlanError("an aggregate of NULL says nothing")
        if name in _OF_DOUBLES:
            value = convert(value, DOUBLE, self._rows.columns)
        if name in {"bool_and", "bool_or"} and value.type != BOOLEAN:
            raise PlanError(f"{name} is of booleans, not of {value.type}")
        if name in {"min", "max", "bool_and", "bool_or"}:
            distinct = False  # changes nothing
        return AggregateColumn("", name, (value.expression,), distinct, condition)

    def _arguments(self, node: exp.Expr) -> tuple[list[exp.Expr], bool]:
        arguments = list(node.expressions)
        distinct = len(arguments) == 1 and isinstance(arguments[0], exp.Distinct)
        if distinct:
            arguments = list(arguments[0].expressions)
        if len(arguments) != 1:
            raise PlanError(
                f"{node.name} takes one argument here",
                hint="count distinct pairs with a subquery: SELECT count(*) FROM (SELECT "
                "DISTINCT a, b FROM ...)",
            )
        if isinstance(arguments[0], exp.Star) and node.name.lower() != "count":
            raise PlanError(f"{node.name}(*) has no meaning", hint="name a column")
        if isinstance(arguments[0], exp.Star) and distinct:
            raise PlanError("count(DISTINCT *) has no meaning here", hint="name a column")
        return arguments, distinct

    def build(self, builder: PlanBuilder, source: int, wanted: Mapping[Expression, str]) -> Grouped:
        """Add the aggregation over a node. `wanted` are names that the output will use."""
        if not self._keys and not self._calls:  # GROUP BY of nothing: HAVING alone
            self._calls.append(AggregateColumn("", "count_star", ()))
        keys, source = self._key_columns(builder, source)
        taken = {name.casefold() for name in keys}
        columns = []
        for number, call in enumerate(self._calls):
            name = wanted.get(ColumnRef(f"{_MARK}{number}"), "")
            if not name or name.casefold() in taken:
                name = _free_name(call.function, taken)
            taken.add(name.casefold())
            columns.append(replace(call, name=name))
        node = builder.add(Aggregate(source, tuple(keys), tuple(columns)))
        replacements: dict[Expression, Expression] = {
            ColumnRef(f"{_MARK}{number}"): ColumnRef(call.name)
            for number, call in enumerate(columns)
        }
        for name, key in zip(keys, self._keys, strict=True):
            replacements[key.expression] = ColumnRef(name)
        return Grouped(self._where, node, replacements)

    def _key_columns(self, builder: PlanBuilder, source: int) -> tuple[list[str], int]:
        """The keys as columns of a node: computed ones are added to it first."""
        names = builder.schema(source).names
        taken = {n.casefold() for n in names}
        added: list[NamedExpression] = []
        keys = []
        for key in self._keys:
            if isinstance(key.expression, ColumnRef):
                keys.append(key.expression.name)
                continue
            name = _free_name("key", taken)
            taken.add(name.casefold())
            added.append(NamedExpression(name, key.expression))
            keys.append(name)
        if not added:
            return keys, source
        kept = tuple(NamedExpression(n, ColumnRef(n)) for n in names)
        return keys, builder.add(Project(source, (*kept, *added)))


def _free_name(stem: str, taken: set[str]) -> str:
    number = 1
    while f"{stem}_{number}" in taken:
        number += 1
    return f"{stem}_{number}"


@dataclass(frozen=True, slots=True)
class Grouped:
    """The aggregated relation, and what each key and aggregate is called in it."""

    where: QueryText
    node: int
    replacements: Mapping[Expression, Expression]

    def rewrite(
        self, expression: Expression, node: exp.Expr, seen: Mapping[str, exp.Expr]
    ) -> Expression:
        """The value over the aggregated relation; `node` and `seen` are where it was written.

        Raises: PlanError if it needs a column that is neither grouped nor aggregated.
        """
        if expression in self.replacements:
            return self.replacements[expression]

        def inner(part: Expression) -> Expression:
            return self.rewrite(part, node, seen)

        match expression:
            case ColumnRef(name):
                raise self.where.error(
                    seen.get(name, node),
                    f"the column {name!r} has many values in a group",
                    "put it into GROUP BY, or into an aggregate such as max(...)",
                )
            case Call(function, arguments):
                return Call(function, tuple(inner(a) for a in arguments))
            case Cast():
                return replace(expression, value=inner(expression.value))
            case Case(branches, otherwise):
                whens = tuple(When(inner(b.condition), inner(b.value)) for b in branches)
                return Case(whens, inner(otherwise))
            case InList():
                return replace(expression, value=inner(expression.value))
            case _:
                return expression
